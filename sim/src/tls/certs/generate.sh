#!/bin/sh
# Writes the certificates and keys of the simulated world into the directory of this script.
#
# Every key follows from the SHA-256 of its name, serial numbers and dates are fixed, and Ed25519
# signs deterministically: running this again writes the same bytes (seen with OpenSSL 3.0). The
# keys are public and guard nothing. After a change here, the table in ../certs.rs must follow;
# its tests compare the two.
#
# Needs: sh, openssl 3, xxd.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# key NAME: an unencrypted PKCS#8 Ed25519 key whose secret is SHA-256("tidegate-sim NAME").
key() {
    secret=$(printf 'tidegate-sim %s' "$1" | openssl dgst -sha256 -r | cut -c1-64)
    printf '302e020100300506032b657004220420%s' "$secret" | xxd -r -p >"$work/$1.key.der"
    openssl pkey -inform DER -in "$work/$1.key.der" -out "$work/$1.key"
}

# issue NAME ISSUER SERIAL START END COMMON-NAME EXTENSION...
issue() {
    name=$1 issuer=$2 serial=$3 start=$4 end=$5 common=$6
    shift 6
    key "$name"
    printf '%s\n' '[e]' "$@" >"$work/ext"
    printf '%s' "$serial" >"$work/serial"
    : >"$work/index"
    cat >"$work/ca.conf" <<CONF
[ca]
default_ca = it
[it]
database = $work/index
serial = $work/serial
new_certs_dir = $work
default_md = default
policy = any
unique_subject = no
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = dn
[dn]
CONF
    openssl req -new -config "$work/ca.conf" -key "$work/$name.key" \
        -subj "/O=Tidegate simulation/CN=$common" -out "$work/csr"
    signer="-cert $work/$issuer.pem"
    if [ "$name" = "$issuer" ]; then signer=-selfsign; fi
    # shellcheck disable=SC2086
    openssl ca -batch -notext -config "$work/ca.conf" -in "$work/csr" -out "$work/$name.pem" \
        -keyfile "$work/$issuer.key" $signer -startdate "$start" -enddate "$end" \
        -extfile "$work/ext" -extensions e 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    openssl x509 -in "$work/$name.pem" -outform DER -out "$name.crt"
}

# authority NAME SERIAL COMMON-NAME
authority() {
    issue "$1" "$1" "$2" 20230101000000Z 20430101000000Z "$3" \
        'basicConstraints = critical,CA:TRUE' 'keyUsage = critical,keyCertSign,cRLSign' \
        'subjectKeyIdentifier = hash'
}

# leaf NAME ISSUER SERIAL START END PURPOSES SAN
leaf() {
    issue "$1" "$2" "$3" "$4" "$5" "$1" \
        'basicConstraints = critical,CA:FALSE' 'keyUsage = critical,digitalSignature' \
        "extendedKeyUsage = $6" "subjectAltName = $7" 'subjectKeyIdentifier = hash' \
        'authorityKeyIdentifier = keyid'
    cp "$work/$1.key.der" "$1.key"
}

from=20230101000000Z
to=20430101000000Z
authority servers 01 'Authority of servers'
authority clients 02 'Authority of clients'
authority strangers 03 'Authority nobody trusts'
leaf a1 servers 11 $from $to serverAuth DNS:a.example,DNS:*.wild.example
leaf a2 servers 12 $from $to serverAuth DNS:a.example,DNS:*.wild.example
leaf b servers 13 $from $to serverAuth DNS:b.example,DNS:h2.wild.example
leaf backend servers 14 $from $to serverAuth DNS:backend.example
leaf expired servers 15 20220101000000Z 20230601000000Z serverAuth DNS:a.example
leaf stranger strangers 16 $from $to serverAuth,clientAuth DNS:a.example,DNS:client.example
leaf client clients 21 $from $to clientAuth DNS:client.example
rm -f strangers.crt
