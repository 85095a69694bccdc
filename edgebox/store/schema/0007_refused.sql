-- Why upstream refused a check-in before it was told with force. On the disk before that is sent: from then on upstream
-- may just say yes, also to a process that knows nothing of the refusal.
ALTER TABLE checkin ADD COLUMN refused_as TEXT;
