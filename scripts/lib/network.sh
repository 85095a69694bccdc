# shellcheck shell=bash
# This machine's address in the venue's network, as NetworkManager keeps it. To be sourced after environment.sh. It
# offers
#   check_address               says so where another address may be given to this machine tomorrow
#   keep_address now|ADDRESS/BITS    makes the present one, or that one, this machine's own
#   hardware_address DEVICE     as the venue's router knows it

# The device that leads out of this machine, and its connection; false where NetworkManager keeps none.
way_out() {
    local device type state connection
    command -v nmcli >/dev/null || return 1
    while IFS=: read -r device type state connection; do
        [[ $state == connected && ($type == ethernet || $type == wifi) ]] || continue
        [[ $connection != edgebox-hotspot ]] || continue
        # nmcli tells the one that it prefers first.
        WAY_DEVICE=$device WAY_CONNECTION=${connection//\\:/:}
        return
    done < <(nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device status)
    return 1
}

hardware_address() { cat "/sys/class/net/$1/address" 2>/dev/null || true; }

check_address() {
    local method address
    if ! way_out; then
        say "Note: NetworkManager keeps no network of this machine. See to it that its address stays the same: the" \
            "phones' QR codes carry it."
        return
    fi
    method=$(nmcli -g ipv4.method connection show "$WAY_CONNECTION")
    [[ $method == auto ]] || return 0
    address=$(nmcli -g IP4.ADDRESS device show "$WAY_DEVICE" | cut -d ' ' -f 1)
    say "Note: the venue's router gave this machine its address (${address:-none yet}, on $WAY_DEVICE); after a restart it" \
        "may be another one, and every phone falls silent. Let the router keep it for $(hardware_address "$WAY_DEVICE")," \
        "or run this again with --fix-address."
}

keep_address() {
    local wanted=$1 gateway dns octet address
    way_out || die "NetworkManager keeps no network of this machine, so its address cannot be set here; it is as it was." \
        "All else is in place."
    gateway=$(nmcli -g IP4.GATEWAY device show "$WAY_DEVICE")
    dns=$(nmcli -g IP4.DNS device show "$WAY_DEVICE" | sed 's/ *| */,/g')
    [[ $wanted != now ]] || wanted=$(nmcli -g IP4.ADDRESS device show "$WAY_DEVICE" | cut -d ' ' -f 1)
    [[ $wanted =~ ^([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$ ]] ||
        die "${wanted:-no address yet} cannot be kept as this machine's address; it is as it was, all else is in place." \
            "Name one with its network's bits: --fix-address 192.168.1.20/24"
    address=${wanted%/*}
    for octet in ${address//./ }; do
        ((10#$octet <= 255)) || die "$wanted is no address; this machine's is as it was, all else is in place."
    done
    nmcli connection modify "$WAY_CONNECTION" ipv4.method manual ipv4.addresses "$wanted" \
        ipv4.gateway "$gateway" ipv4.dns "$dns" ||
        die "NetworkManager did not take $wanted; this machine's address is as it was, all else is in place."
    # Whoever is logged in over this network keeps the connection where the address is the one that it was.
    nmcli device reapply "$WAY_DEVICE" >/dev/null || nmcli connection up "$WAY_CONNECTION" >/dev/null ||
        die "$wanted is set for $WAY_DEVICE and will be there after a restart; now it could not be taken up."
    say "The address of $WAY_DEVICE is $wanted from now on. Nobody else in this network may have it: tell whoever looks" \
        "after the router."
}
