"""What must hold of an evening at the door, whatever happens to the box, to its link and to its clock.

The model shares no code with the box and knows nothing of how it works. It is told what happens around it: what phones
ask and are answered, what upstream has and is told, what staff do; and it is shown the journal and upstream's records.
`Broken` is raised where one of these does not hold:

1. A scan is answered by what the box can know: what the last whole pull told, and its own check-ins that upstream did
   not have before that pull was asked for. More than one answer is right only while a pull is under way or after it
   broke off, and about the order of two check-ins whose times lie close together or are not known.
2. The journal has the scans that were answered `ok`, each once, from the answer on; a repeated nonce adds nothing.
3. A check-in is settled only when upstream has acknowledged it, parked only when upstream refused it for good or
   choked on it, undone only while upstream cannot know of it. In the end none is pending.
4. Upstream has each settled check-in once, and none that was not let in, was undone, or is an exit that stays here.
5. Its time is the one that the client sent, or else the true one; where the box could not know it, it is flagged.
6. A conflict stands exactly where force passed something, where upstream took a check-in by force alone, where it is
   parked, and where its time is in doubt.
7. Without force each ticket is let in as often as its list allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from itertools import product
from operator import or_

from tests.evenings.words import (
    AGREED,
    ENTRY,
    EXIT,
    OK,
    REPEAT,
    UNKNOWN,
    UNPAID,
    USED,
    VOID,
    WITHDRAWN,
    Ask,
    Belief,
    CheckIn,
    Record,
    Row,
    Standing,
    Terms,
    Told,
    When,
)


class Broken(AssertionError):
    """A rule does not hold."""


class Model:
    """One evening. `terms` by list; `is_loose`: a pull may be under way at any time, unseen."""

    def __init__(self, terms: Mapping[int, Terms], *, is_loose: bool = False) -> None:
        self.terms = dict(terms)
        self.checkins: list[CheckIn] = []
        self._by_nonce: dict[tuple[str, str, int], CheckIn] = {}
        self.boot, self.process = "", 0
        self._is_loose = is_loose
        self._is_paged = any(each.is_paged for each in terms.values())
        self._truth: dict[str, tuple[Standing, frozenset[Told]]] = {}
        self._beliefs: dict[str, Belief] = {}
        self._covered: frozenset[int] | None = None
        """Of the pull under way: what was settled before it was asked for."""
        self._covers: dict[str, list[frozenset[int]]] = {}
        """Of pulls that may be under way, unseen: by ticket, what may have been settled when they were asked for."""
        self._seen: dict[str, Belief] = {}
        """What the pull under way has told, or may have."""
        self._first_pull = "none"

    # --- what upstream has, and what pulls tell of it -----------------------------------------------------------------

    def upstream_is(self, ticket: str, standing: Standing, told: Iterable[Told]) -> None:
        self._truth[ticket] = standing, frozenset(told)
        if self._is_loose:
            self._may_be_told(ticket)
        elif self._seen and self._is_paged:
            self._seen[ticket] = self._seen.get(ticket, self._belief(ticket)) | self._now(ticket)

    def _may_be_told(self, ticket: str) -> None:
        """Of a pull that nobody has seen being asked for."""
        for covered in self._covers.setdefault(ticket, [frozenset()]):
            self._beliefs[ticket] = self._belief(ticket) | self._now(ticket, covered)

    def pulled(self, settled: Collection[int]) -> None:
        """A pull was whole that nobody else saw, and nobody did anything meanwhile; these were settled before."""
        for ticket in self._truth:
            covers = self._covers[ticket]
            self._covers[ticket] = [covered for covered in covers if covers[-1].intersection(settled) <= covered]
            tells = [self._now(ticket, covered) for covered in self._covers[ticket]]
            self._beliefs[ticket] = reduce(or_, tells)

    def pull_asks(self, settled: Collection[int]) -> None:
        if self._covered is None:
            self._covered = frozenset(settled)

    def pull_tells(self) -> None:
        # Asked again because the answer was lost, upstream tells everything anew; another page tells the rest.
        if not self._seen or not self._is_paged:
            self._seen = {ticket: self._now(ticket) for ticket in self._truth}

    def pull_is_over(self, is_whole: bool) -> None:
        # A first download that was resumed may have told the first tickets long ago; the next pull tells what changed.
        is_resumed = self._is_paged and self._first_pull == "broken"
        for ticket, seen in self._seen.items():
            self._beliefs[ticket] = seen if is_whole and not is_resumed else self._belief(ticket) | seen
        if is_whole or (self._seen and self._first_pull == "none"):
            self._first_pull = "whole" if is_whole else "broken"
        self._covered, self._seen = None, {}

    def _now(self, ticket: str, covered: frozenset[int] | None = None) -> Belief:
        covered = self._covered or frozenset() if covered is None else covered
        standing, told = self._truth[ticket]
        if standing is None:  # what was told before is withdrawn now; of its check-ins nothing is told
            before = self._believed(ticket)
            standings: set[Standing] = {known and (known[0], WITHDRAWN) for known in before.standings}
            return Belief(standings, {*before.told, (told, covered)})
        return Belief({standing}, {(told, covered)})

    def _belief(self, ticket: str) -> Belief:
        return self._beliefs.setdefault(ticket, Belief())

    def _believed(self, ticket: str) -> Belief:
        seen = self._seen.get(ticket)
        return self._belief(ticket) | seen if seen else self._belief(ticket)

    def looked_up(self, ticket: str, standing: Standing) -> None:
        """Upstream was asked for this ticket alone, and may have told so much of it."""
        if standing is not None:
            told = self._truth[ticket][1], self._covered or frozenset()
            self._beliefs[ticket] = self._believed(ticket) | Belief({standing}, {told})

    # --- 1, 2: what is answered, and recorded with the answer ---------------------------------------------------------

    def answered(self, ask: Ask, answers: Collection[str], rows: Sequence[Row], when: When) -> None:
        """`answers`: what the answer may mean; `rows`: what the journal has since."""
        right = self.right_answers(ask)
        if len(rows) > (OK in answers):
            raise Broken(f"{ask} was answered {answers}, and {len(rows)} check-ins were recorded")
        given = {REPEAT} if OK in answers and not rows else set(answers)
        if not given & right.keys():
            raise Broken(f"{ask} was answered {sorted(given)}; right is {sorted(right)}")
        for row in rows:
            checkin = CheckIn(row.id, row.nonce, ask, when, frozenset(right[OK]))
            self.checkins.append(checkin)
            self._by_nonce[row.nonce, ask.ticket, ask.list_id] = checkin

    def right_answers(self, ask: Ask) -> dict[str, set[str | None]]:
        """Each answer that is right, with what force passes then."""
        right: dict[str, set[str | None]] = {}
        belief = self._believed(ask.ticket)
        for standing, (told, covered) in product(belief.standings, belief.told):
            if standing is None or ask.secret not in (None, standing[0]):
                right[UNKNOWN] = set()
            elif ask.nonce is not None and any(self._is_repeat(ask, each) for each in self.checkins):
                right[REPEAT] = set()
            else:
                for is_used in self._is_used(ask, told, covered):
                    reason = self._why_not(ask, standing[1]) or (USED if is_used else None)
                    is_passed = ask.forced and reason != UNKNOWN
                    right.setdefault(OK if reason is None or is_passed else reason, set()).add(reason)
        return right

    def _why_not(self, ask: Ask, reason: str | None) -> str | None:
        if reason == VOID:
            return UNPAID
        passes = reason == UNPAID and ask.ignores_unpaid and self.terms[ask.list_id].include_pending
        return None if passes else reason

    @staticmethod
    def _is_repeat(ask: Ask, earlier: CheckIn) -> bool:
        of = earlier.ask
        return (ask.nonce, ask.ticket, ask.list_id, ask.direction) == (of.nonce, of.ticket, of.list_id, of.direction)

    def _is_used(self, ask: Ask, told: frozenset[Told], covered: frozenset[int]) -> set[bool]:
        terms = self.terms[ask.list_id]
        moments = [(each.at, each.direction) for each in told if each.list_id == ask.list_id]
        moments += [
            (each.at, each.ask.direction)
            for each in self.checkins
            if (each.ask.ticket, each.ask.list_id) == (ask.ticket, ask.list_id)
            and not each.is_undone
            and each.id not in covered
        ]
        has_entered = any(direction == ENTRY for _, direction in moments)
        if ask.direction == EXIT or not has_entered or terms.several_entries:
            return {False}
        if not terms.entry_after_exit:
            return {True}
        times = [at for at, _ in moments if at is not None]
        if len(times) < len(moments):
            return {True, False}
        latest = max(times)
        return {direction == ENTRY for at, direction in moments if at is not None and latest - at <= AGREED}

    # --- what upstream is told ----------------------------------------------------------------------------------------

    def find(self, nonce: str, ticket: str, list_id: int, direction: str) -> CheckIn:
        """The check-in that upstream is told of, or has. (4)"""
        found = self._by_nonce.get((nonce, ticket, list_id))
        if found is None or found.ask.direction != direction or found.is_undone or self._stays(found):
            raise Broken(f"upstream is told of an {direction} of {ticket} that it must not have (nonce {nonce})")
        return found

    def push_begins(self) -> None:
        for each in self.checkins:
            each.may_be_claimed = each.may_be_claimed or each.state == "pending"

    def reached(self, checkin: CheckIn, at: datetime, refusal: str | None, *, forced: bool, stored: bool) -> None:
        """Upstream acted on it, whether the box hears of that or not. (5)"""
        if checkin.ask.sent is not None:
            if at != checkin.ask.sent:
                raise Broken(f"{checkin} was sent with {checkin.ask.sent}, and upstream was told {at}")
        else:
            checkin.is_off = not checkin.when.earliest - AGREED <= at <= checkin.when.latest + AGREED
            checkin.is_corrected = checkin.when.boot == self.boot
            if checkin.is_off and (checkin.when.is_right or checkin.is_corrected):
                raise Broken(f"the box could know when {checkin} was, and told upstream {at}")
        if refusal is None:
            checkin.taken = checkin.taken or ("forced" if forced else "plain")
            checkin.was_stored = checkin.was_stored or stored

    def heard(self, checkin: CheckIn, refusal: str | None, *, is_last_word: bool) -> None:
        """The box got upstream's answer to it."""
        if refusal is None:
            checkin.is_acknowledged = True
            checkin.refused_for_good = False  # of an earlier try, which the box could not note
            if self._is_loose:
                ticket = checkin.ask.ticket
                self._covers[ticket].append(self._covers[ticket][-1] | {checkin.id})
                self._may_be_told(ticket)
        elif is_last_word:
            checkin.refused_for_good = True
            checkin.refusals.add("refused")
        else:
            checkin.refusals.add(refusal)

    def troubled(self, checkin: CheckIn, *, is_final: bool = False) -> None:
        """The box got something else for an answer, or none."""
        checkin.troubles += 1
        checkin.is_poison = checkin.is_poison or is_final

    # --- what staff do ------------------------------------------------------------------------------------------------

    def undo(self, checkin: CheckIn, is_done: bool) -> None:
        is_possible = checkin.state == "kept" or (
            checkin.state == "pending" and not checkin.is_told and checkin.when.process == self.process
        )
        is_unclear = checkin.may_be_claimed or self._is_loose
        if is_done != is_possible and (is_done or not is_unclear):
            raise Broken(f"an undo of {checkin} was {'done' if is_done else 'refused'}")
        checkin.is_undone = is_done

    def retried(self, checkin: CheckIn) -> None:
        checkin.state, checkin.refused_for_good = "pending", False

    def dismissed(self, checkin: CheckIn) -> None:
        checkin.is_closed = True
        checkin.is_given_up = checkin.state == "parked"

    # --- 2, 3, 6: the journal -----------------------------------------------------------------------------------------

    def journal_is(self, rows: Sequence[Row]) -> None:
        if [row.id for row in rows] != [each.id for each in self.checkins]:
            raise Broken(f"the journal has {[row.id for row in rows]}, let in were {[e.id for e in self.checkins]}")
        for row, checkin in zip(rows, self.checkins, strict=True):
            if row.state not in self._possible_states(checkin):
                raise Broken(f"{checkin} is {row.state}")
            if row.conflict not in self._possible_conflicts(checkin):
                raise Broken(f"{checkin} has the conflict {row.conflict}")
            checkin.state = row.state

    def _stays(self, checkin: CheckIn) -> bool:
        return checkin.ask.direction == EXIT and not self.terms[checkin.ask.list_id].knows_exits

    def _possible_states(self, checkin: CheckIn) -> set[str]:
        if checkin.is_undone:
            return {"cancelled"}
        if self._stays(checkin):
            return {"kept"}
        if checkin.state in ("settled", "dismissed"):
            return {checkin.state}
        states = set() if checkin.state == "parked" else {"pending"}
        states |= {"settled"} if checkin.is_acknowledged else set()
        states |= {"parked"} if checkin.refused_for_good or checkin.has_choked else set()
        return states | ({"dismissed"} if checkin.is_given_up else set())

    def _possible_conflicts(self, checkin: CheckIn) -> set[str | None]:
        if None not in checkin.on_record and not checkin.is_closed:
            return set(checkin.on_record)
        conflicts = {None} | set(checkin.on_record) | checkin.refusals
        conflicts |= {"poisonous"} if checkin.has_choked else set()
        conflicts |= {"clock_untrusted"} if checkin.ask.sent is None and not checkin.when.is_known else set()
        return conflicts | ({"datetime_implausible"} if checkin.is_far_off else set())

    # --- 4: upstream's records ----------------------------------------------------------------------------------------

    def upstream_has(self, records: Sequence[Record]) -> None:
        times: Counter[int] = Counter()
        for record in records:
            if record.nonce is not None:
                checkin = self.find(record.nonce, record.ticket, record.list_id, record.direction)
                times[checkin.id] += not record.is_deleted
                if times[checkin.id] > 1:
                    raise Broken(f"upstream has {checkin} twice")

    # --- the end ------------------------------------------------------------------------------------------------------

    def is_over(self, rows: Sequence[Row], records: Sequence[Record]) -> None:
        """The link was back for long enough, and staff have retried what upstream choked on."""
        self.journal_is(rows)
        self.upstream_has(records)
        held = Counter((record.nonce, record.ticket, record.list_id) for record in records)
        for row, checkin in zip(rows, self.checkins, strict=True):
            if row.state == "pending" or (row.state == "parked" and not checkin.refused_for_good):
                raise Broken(f"{checkin} was forgotten: it is {row.state}")
            if row.state == "settled" and checkin.refused_for_good:
                raise Broken(f"upstream refused {checkin}, and it is settled")
            is_held = held[checkin.nonce, checkin.ask.ticket, checkin.ask.list_id] > 0
            if row.state == "settled" and checkin.was_stored and not is_held:
                raise Broken(f"upstream lacks {checkin}")
            is_doubtful = checkin.is_off or (checkin.is_far_off and checkin.when.is_known)
            was_forced = row.state == "settled" and checkin.taken == "forced"
            if row.conflict is None and (row.state == "parked" or is_doubtful or was_forced):
                raise Broken(f"staff do not see that something is wrong with {checkin}")
        self._admitted(records)

    def _admitted(self, records: Sequence[Record]) -> None:
        """(7), for lists that let each ticket in once."""
        let_in: Counter[tuple[str, int]] = Counter()
        for each in self.checkins:
            terms = self.terms[each.ask.list_id]
            if each.ask.direction == ENTRY and not each.ask.forced and not each.is_undone:
                let_in[each.ask.ticket, each.ask.list_id] += not (terms.several_entries or terms.entry_after_exit)
        given_back = Counter((record.ticket, record.list_id) for record in records if record.is_deleted)
        for key, count in let_in.items():
            if count > 1 + given_back[key]:
                raise Broken(f"{key} was let in {count} times")
