#!/bin/sh
# Brings the agent's release onto this machine: fetch, verify, install, start.
#
#     talkoot-bootstrap              install the release of /etc/talkoot/bootstrap.env and start it
#     talkoot-bootstrap --install V  install release V only; the agent calls this between executions
#
# Needs curl, openssl 3, tar and Python 3.11 in the image, and downloads no package. ROOT goes
# before every path of ours, so that it can be tried in a directory.
set -eu
umask 022

ROOT=${ROOT:-}
# shellcheck source=/dev/null
. "$ROOT/etc/talkoot/bootstrap.env"
RELEASES=$ROOT/opt/talkoot/releases
CURRENT=$ROOT/opt/talkoot/current
KEY=$ROOT/etc/talkoot/release.pem
CA=$ROOT/etc/talkoot/ca.pem

say() { echo "talkoot-bootstrap: $*"; }
fail() { say "$*" >&2; exit 1; }

# The control service's own CA, told by its fingerprint, out of what its server shows us.
pin_ca() {
    [ -n "$CA_FINGERPRINT" ] || return 0
    case $CONTROL_URL in https://*) ;; *) fail "a CA is pinned, and $CONTROL_URL is not https" ;; esac
    place=${CONTROL_URL#https://}
    place=${place%%/*}
    case $place in *:*) ;; *) place=$place:443 ;; esac
    chain=$(mktemp -d "$work/chain.XXXXXX")
    openssl s_client -connect "$place" -servername "${place%:*}" -showcerts </dev/null 2>/dev/null |
        awk -v dir="$chain" '/BEGIN CERT/ { n++; on = 1 } on { print > (dir "/" n) } /END CERT/ { on = 0 }'
    for one in "$chain"/*; do
        [ -f "$one" ] || continue
        seen=$(openssl x509 -in "$one" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
        if [ "$seen" = "$CA_FINGERPRINT" ]; then
            cp "$one" "$CA"
            return 0
        fi
    done
    fail "$place shows no certificate with the fingerprint $CA_FINGERPRINT"
}

get() {
    set -- --fail --silent --show-error --location --retry 5 --retry-connrefused --max-time 300 "$@"
    [ -z "$CA_FINGERPRINT" ] || [ "${url#"$CONTROL_URL"}" = "$url" ] || set -- --cacert "$CA" "$@"
    curl "$@" "$url"
}

# Splits the answer into the signed text, its signature and the address; prints version and sha256.
read_answer() {
    python3 - "$work" "$CONTROL_URL" <<'PY'
import base64, json, pathlib, re, sys
work, control_url = pathlib.Path(sys.argv[1]), sys.argv[2]
answer = json.loads((work / "answer").read_bytes())
(work / "manifest").write_bytes(answer["manifest"].encode())
(work / "signature").write_bytes(base64.b64decode(answer["signature"]))
url = answer["url"]
(work / "url").write_text(control_url + url if url.startswith("/") else url)
manifest = json.loads(answer["manifest"])
version, digest = manifest["version"], manifest["sha256"]
if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.-]*", version):
    sys.exit("the version has a strange name")
print(version, digest)
PY
}

install_release() {
    url="$CONTROL_URL/api/v0/agents/release/?$1"
    get --output "$work/answer" || fail "no release could be had from $CONTROL_URL"
    found=$(read_answer)
    version=${found% *}
    openssl pkeyutl -verify -pubin -inkey "$KEY" -rawin -in "$work/manifest" \
        -sigfile "$work/signature" >/dev/null 2>&1 ||
        fail "release $version is not signed with our key: it is not installed"
    if [ ! -d "$RELEASES/$version" ]; then
        url=$(cat "$work/url")
        get --output "$work/release" || fail "release $version could not be downloaded"
        echo "${found#* }  $work/release" | sha256sum --check --status ||
            fail "release $version has another checksum than its manifest: it is not installed"
        mkdir -p "$RELEASES"
        draft=$(mktemp -d "$RELEASES/.new.XXXXXX")
        chmod 755 "$draft"
        tar --extract --no-same-owner --directory "$draft" --file "$work/release"
        mv -T "$draft" "$RELEASES/$version"
    fi
    ln -sfn "releases/$version" "$CURRENT.new"
    mv -T "$CURRENT.new" "$CURRENT"
    say "release $version is in place"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pin_ca
if [ "${1:-}" = --install ]; then
    install_release "version=$2"
    exit 0
fi
wanted="channel=$CHANNEL"
[ -z "$AGENT_VERSION" ] || wanted="version=$AGENT_VERSION"
install_release "$wanted"
exec "$CURRENT/configure"
