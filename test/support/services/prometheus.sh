#!/bin/bash
# Prometheus + Alertmanager + Pushgateway, small and quick.
#   PROM_TARGETS (127.0.0.1:9464)  scrape targets, host:port, space separated
#   PROM_PATH (/metrics)  PROM_SCHEME (http)  PROM_INTERVAL (1s)
#   PROM_AUTH_FILE        file with a bearer token    PROM_CA_FILE  CA for https
#   PROM_RULES            rule files, space separated (a glob is fine)
#   PROM_WEBHOOK          where Alertmanager posts alerts
#                         (http://127.0.0.1:9099/ when unset; nobody need listen)
#   PROM_ALERTMANAGER     another Alertmanager, host:port, instead of this one
#   PROM_PORT (9090)  PROM_AM_PORT (9093)  PROM_PGW_PORT (9091)
#   PROM_KEEP=1           keep stored samples between starts
. "$(dirname "$(readlink -f "$0")")/lib.sh"
svc_init prometheus
KEYS="pushgateway alertmanager prometheus" GRACE_prometheus=50
PORT=${PROM_PORT:-9090} AM=${PROM_AM_PORT:-9093} PGW=${PROM_PGW_PORT:-9091}
D=$DIR/data
list() { local x; for x; do printf "'%s', " "$x"; done; }
svc_start() {
  need_deb prometheus prometheus-alertmanager prometheus-pushgateway curl
  port_free "$PORT"; port_free "$AM"; port_free "$PGW"
  [ -n "${PROM_KEEP:-}" ] || rm -rf "$D"
  mkdir -p "$D"
  local r rules=
  for r in ${PROM_RULES:-}; do rules="$rules $(readlink -f "$r")"; done
  cat >"$D/prometheus.yml" <<EOC
global: {scrape_interval: ${PROM_INTERVAL:-1s}, scrape_timeout: ${PROM_TIMEOUT:-${PROM_INTERVAL:-1s}}, evaluation_interval: ${PROM_INTERVAL:-1s}}
rule_files: [$(list $rules)]
alerting: {alertmanagers: [{static_configs: [{targets: ['${PROM_ALERTMANAGER:-$SVC_BIND:$AM}']}]}]}
scrape_configs:
  - job_name: ${PROM_JOB:-agent}
    metrics_path: ${PROM_PATH:-/metrics}
    scheme: ${PROM_SCHEME:-http}
$([ -z "${PROM_AUTH_FILE:-}" ] || echo "    authorization: {credentials_file: '$(readlink -f "$PROM_AUTH_FILE")'}")
$([ -z "${PROM_CA_FILE:-}" ] || echo "    tls_config: {ca_file: '$(readlink -f "$PROM_CA_FILE")'}")
    static_configs: [{targets: [$(list ${PROM_TARGETS:-$SVC_BIND:9464})]}]
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{targets: ['$SVC_BIND:$PGW']}]
EOC
  cat >"$D/alertmanager.yml" <<EOC
route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: hook
    webhook_configs: [{url: '${PROM_WEBHOOK:-http://$SVC_BIND:9099/}', send_resolved: true}]
EOC
  promtool check config "$D/prometheus.yml" >"$DIR/log/promtool.log" 2>&1 9>&- || { cat "$DIR/log/promtool.log" >&2; die "bad configuration"; }
  spawn pushgateway prometheus-pushgateway --web.listen-address="$SVC_BIND:$PGW"
  spawn alertmanager prometheus-alertmanager --config.file="$D/alertmanager.yml" \
    --storage.path="$D/am" --web.listen-address="$SVC_BIND:$AM" --cluster.listen-address=
  spawn prometheus prometheus --config.file="$D/prometheus.yml" --storage.tsdb.path="$D/tsdb" \
    --web.listen-address="$SVC_BIND:$PORT" --web.enable-lifecycle --web.enable-remote-write-receiver \
    --enable-feature=exemplar-storage,native-histograms --storage.tsdb.retention.time=1d
  wait_for pushgateway http_ok "http://$SVC_BIND:$PGW/-/ready"
  wait_for alertmanager http_ok "http://$SVC_BIND:$AM/-/ready"
  wait_for prometheus http_ok "http://$SVC_BIND:$PORT/-/ready"
}
svc_conn() {
  cat <<EOC
PROM_URL=http://$SVC_BIND:$PORT
PROM_REMOTE_WRITE_URL=http://$SVC_BIND:$PORT/api/v1/write
PROM_ALERTMANAGER_URL=http://$SVC_BIND:$AM
PROM_PUSHGATEWAY_URL=http://$SVC_BIND:$PGW
PROM_CONFIG=$D/prometheus.yml
EOC
}
svc_main "$@"
