#!/bin/sh
# Run by pppd(8) when a tunnel is up. A FortiGate often calls itself inside what it is called outside: the kernel's route to
# that address would lead the tunnel's own connection into the tunnel. Nothing needs it: networks have routes of their own.
[ -e "/etc/openfortivpn/$PPP_IFACE.conf" ] || exit 0
exec ip -4 route del "$PPP_REMOTE/32" dev "$PPP_IFACE"
