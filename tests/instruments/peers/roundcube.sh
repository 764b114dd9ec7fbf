#!/usr/bin/env bash
# A private, throw-away Roundcube (nginx, php-fpm, SQLite) over a Dovecot that is running already: the peer of the webmail.
#
#   roundcube.sh start DIR IMAP_PORT HTTP_PORT   create (if needed) and start an instance in DIR
#   roundcube.sh stop DIR                        stop it (data stays)
#
# Needs root and the Debian packages roundcube-core, roundcube-sqlite3, php-fpm and nginx (installed with a policy-rc.d
# that denies autostart). Everything listens on 127.0.0.1. DIR is absolute and may be walked by other users.
set -euo pipefail

usage() { sed -n '2,8p' "$0"; exit 2; }
[ $# -ge 2 ] || usage
action=$1 dir=$2
case $dir in /*) ;; *) usage ;; esac
site=/var/lib/roundcube/public_html
[ -d "$site" ] || site=/var/lib/roundcube

fpm() { compgen -G '/usr/sbin/php-fpm*' | head -n 1; }

# Debian's configuration stays as it is: ours lies in a directory of its own, named by an environment variable.
write_roundcube() {
    local imap=$1
    mkdir -p "$dir/config" "$dir/temp" "$dir/logs"
    cp /etc/roundcube/defaults.inc.php /etc/roundcube/mimetypes.php "$dir/config/"
    cat > "$dir/config/config.inc.php" <<CONF
<?php
\$config = [
    'db_dsnw' => 'sqlite:///$dir/roundcube.db?mode=0640',
    'imap_host' => '127.0.0.1:$imap',
    'smtp_host' => '127.0.0.1:1',
    'des_key' => 'a-key-of-24-octets-long!',
    'temp_dir' => '$dir/temp/',
    'log_dir' => '$dir/logs/',
    'skin' => 'elastic',
    'plugins' => ['archive'],
    'mail_pagesize' => 50,
    'sent_mbox' => 'Sent',
    'archive_mbox' => 'Archive',
    'junk_mbox' => 'Junk',
    'trash_mbox' => 'Trash',
    'drafts_mbox' => 'Drafts',
];
CONF
    if [ ! -e "$dir/roundcube.db" ]; then
        php -r '$db = new PDO("sqlite:" . $argv[1]); $db->exec(file_get_contents($argv[2]));' -- \
            "$dir/roundcube.db" /usr/share/roundcube/SQL/sqlite.initial.sql
    fi
    chown -R www-data: "$dir/temp" "$dir/logs" "$dir/roundcube.db" "$dir/config"
    chown www-data: "$dir"
}

write_fpm() {
    cat > "$dir/fpm.conf" <<CONF
[global]
pid = $dir/fpm.pid
error_log = $dir/fpm.log
[rc]
user = www-data
group = www-data
listen = $dir/fpm.sock
listen.owner = www-data
pm = static
pm.max_children = 4
env[ROUNDCUBE_CONFIG_DIR] = $dir/config
CONF
}

write_nginx() {
    local port=$1
    cat > "$dir/nginx.conf" <<CONF
user www-data;
worker_processes 2;
pid $dir/nginx.pid;
error_log $dir/nginx-error.log;
events { worker_connections 256; }
http {
    include /etc/nginx/mime.types;
    access_log off;
    gzip on;
    gzip_types text/css application/javascript text/javascript application/json image/svg+xml;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    server {
        listen 127.0.0.1:$port;
        root $site;
        index index.php;
        location ~ ^/(config|temp|logs|SQL|bin)/ { deny all; }
        location ~ \.php$ {
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
            fastcgi_pass unix:$dir/fpm.sock;
        }
        location ~ \.(css|js|svg|png|gif|ico|woff2|webmanifest)$ { expires 30d; }
    }
}
CONF
}

# The daemon a pid file names, when it is still that daemon.
end() {
    local pid
    [ -s "$1" ] || return 0
    pid=$(tr -d ' \n' < "$1")
    grep -qE 'php-fpm|nginx' "/proc/$pid/comm" 2>/dev/null || return 0
    kill -QUIT "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill "$pid" 2>/dev/null || true
}

case $action in
start)
    [ $# -eq 4 ] || usage
    mkdir -p "$dir"
    chmod 755 "$dir"
    write_roundcube "$3"
    write_fpm
    write_nginx "$4"
    "$(fpm)" --fpm-config "$dir/fpm.conf" >"$dir/fpm.out" 2>&1 </dev/null
    nginx -c "$dir/nginx.conf" -e "$dir/nginx-error.log" >"$dir/nginx.out" 2>&1 </dev/null
    ;;
stop)
    end "$dir/nginx.pid"
    end "$dir/fpm.pid"
    ;;
*) usage ;;
esac
