#!/bin/sh
# Run by charon(8) when a tunnel comes up and goes down: the address that its gateway gave is on its interface meanwhile.
# ipsec-address INTERFACE
for address in ${PLUTO_MY_SOURCEIP4_1:+"$PLUTO_MY_SOURCEIP4_1/32"} ${PLUTO_MY_SOURCEIP6_1:+"$PLUTO_MY_SOURCEIP6_1/128"}; do
    case $PLUTO_VERB in
    up-*) ip address replace "$address" dev "$1" ;;
    down-*) ip address delete "$address" dev "$1" ;;
    esac
done
