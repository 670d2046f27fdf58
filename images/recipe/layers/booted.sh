#!/bin/bash
# Tells muster that this system is up; at each boot, for five minutes.
url={{.URL.Booted}}
call() {
  if command -v curl >/dev/null; then
    curl -fsS -m 10 -X POST "$url"
  elif command -v wget >/dev/null; then
    wget -q -t 1 -T 10 -O {{if .Ship}}-{{else}}/dev/null{{end}} --post-data= "$url"
  else
    place=${url#*://} && host=${place%%/*} && port=${host##*:}
    [ "$port" != "$host" ] || port=80
    exec 3<>"/dev/tcp/${host%:*}/$port" || return
    { echo "POST /${place#*/} HTTP/1.0"; echo "Host: $host"; echo "Content-Length: 0"; echo; } >&3
    read -r -t 10 _ status _ <&3 && [ "${status:0:1}" = 2 ]
{{- if .Ship}} || return
    while read -r -t 10 line <&3 && [ "${#line}" -gt 1 ]; do :; done
    read -r -t 10 line <&3
    echo "$line"
{{- end}}
  fi
}
for try in {1..60}; do
{{- if .Ship}}
  if answer=$(call); then
    [ "$answer" != poweroff ] || poweroff
    exit
  fi
{{- else}}
  call && exit
{{- end}}
  sleep 5
done
