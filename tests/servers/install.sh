#!/bin/sh
# Installs the real servers the tests start, and what else they need beside Python, on Debian or Ubuntu, as root. It
# starts none of them, stops nothing that runs, removes and upgrades nothing, and has nothing to do where all are there.
# `make test` calls it.
set -eu

PACKAGES="postfix postfix-sqlite postfix-pgsql postfix-mysql
  dovecot-core dovecot-imapd dovecot-lmtpd dovecot-sqlite dovecot-pgsql dovecot-mysql
  openssh-client opendkim libopendbx1-sqlite3 nsd knot bind9 unbound pdns-server pdns-backend-sqlite3 postgresql mariadb-server
  php-cli php-sqlite3 php-mbstring php-pgsql php-mysql sqlite3"
WORKFLOW_PARSER=0.3.61 ESBUILD=0.28.2 # npm packages
POLICY=/usr/sbin/policy-rc.d # asked by every package before it starts, restarts or stops a service
KEPT=$POLICY.before-tests

# Mail is kept under one user. Dovecot refuses ids below 500; 5000 is the custom, any free one will do.
add_vmail_user() {
  getent passwd vmail >/dev/null && return
  id=5000
  while getent passwd "$id" >/dev/null || getent group "$id" >/dev/null; do id=$((id + 1)); done
  getent group vmail >/dev/null || groupadd --gid "$id" vmail
  useradd --uid "$id" --gid vmail --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vmail
}

missing_packages() {
  for package in $PACKAGES; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
  command -v npm >/dev/null || echo nodejs npm # Node comes from elsewhere too, and brings npm then
}

forbid_starting() {
  if [ -e "$POLICY" ]; then mv "$POLICY" "$KEPT"; fi
  trap allow_starting EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

allow_starting() {
  rm -f "$POLICY"
  if [ -e "$KEPT" ]; then mv "$KEPT" "$POLICY"; fi
}

apt() {
  apt-get -q -o DPkg::Lock::Timeout=600 "$@"
}

install_missing() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  forbid_starting
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  if [ ! -e /etc/postfix/main.cf ]; then # the machine's own mail stays as it is
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
  fi
  apt update
  # --no-remove: another mail server on this machine (exim4, cyrus) would be thrown out.
  # shellcheck disable=SC2086 # one word per package
  apt install --yes --no-install-recommends --no-upgrade --no-remove $missing || {
    echo "The servers for the tests could not be installed: $(echo $missing)" >&2
    echo "Nothing was removed. To run the tests that need none of them: make test SERVERS=no" >&2
    exit 1
  }
}

# PostfixAdmin's own code makes a database of its own for the tests; the package itself would bring a web server along.
unpack_postfixadmin() {
  target=$(cd "$(dirname "$0")/../.." && pwd)/var/postfixadmin
  [ ! -e "$target" ] || return 0
  folder=$(mktemp -d)
  chmod 755 "$folder"
  chown _apt "$folder" 2>/dev/null || :
  (cd "$folder" && { apt-get -q download postfixadmin || { apt update && apt-get -q download postfixadmin; }; })
  dpkg -x "$folder"/postfixadmin_*.deb "$folder/unpacked"
  mkdir -p "$(dirname "$target")"
  mv "$folder/unpacked" "$target"
  rm -rf "$folder"
}

# GitHub's own parser of workflows, as one file: Node cannot load it as it is packed.
bundle_workflow_parser() {
  here=$(cd "$(dirname "$0")/../.." && pwd)
  target=$here/var/workflow-parser-$WORKFLOW_PARSER.cjs
  [ ! -e "$target" ] || return 0
  folder=$(mktemp -d)
  npm install --silent --no-audit --no-fund --prefix "$folder" "@actions/workflow-parser@$WORKFLOW_PARSER" "esbuild@$ESBUILD"
  mkdir -p "$here/var"
  NODE_PATH=$folder/node_modules "$folder/node_modules/.bin/esbuild" "$here/tests/forge/parse.mjs" --bundle \
    --platform=node --format=cjs --log-level=warning --outfile="$folder/parser.cjs"
  chmod 755 "$folder/parser.cjs"
  mv "$folder/parser.cjs" "$target"
  rm -rf "$folder"
}

exec 9>/run/lock/reconciler-tests-install
flock 9 # two checkouts at once
if [ -e "$KEPT" ]; then allow_starting; fi # an earlier run was killed
install_missing
add_vmail_user
unpack_postfixadmin
bundle_workflow_parser
