#!/bin/bash
# Installs this host as muster says.
{{- if .URL.Early}}
{{.Tell}} {{.URL.Early}}
{{- end}}
[ -b {{shell .Disk.Path}} ] || {{.NoDisk}}
{{- if .Ask}}
{{.Ask}}
{{- end}}
until {{.Install}}; do
  echo 'the installation did not work; trying again'
  sleep 30
done
{{- if .URL.Written}}
{{.Tell}} {{.URL.Written}}
{{- end}}
systemctl {{.After}}
