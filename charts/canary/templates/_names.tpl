{{- /* Names, labels and settings. Helm gives a chart's templates no other place for what they share. */ -}}

{{- define "canary.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-canary" .Release.Name) (contains "canary" .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Of objects of the cluster: a controller for one namespace leaves room for those of others. */ -}}
{{- define "canary.clusterName" -}}
{{- $name := include "canary.fullname" . -}}
{{- with .Values.watch.namespace }}{{ printf "%s-%s" $name . }}{{ else }}{{ $name }}{{ end -}}
{{- end -}}

{{- define "canary.account" -}}
{{- .Values.serviceAccount.name | default (include "canary.fullname" .) -}}
{{- end -}}

{{- define "canary.lease" -}}
{{- .Values.lease.name | default (include "canary.fullname" .) -}}
{{- end -}}

{{- /* Of the policy that proves authors; empty where there is none. */ -}}
{{- define "canary.actionPolicy" -}}
{{- $own := ternary (printf "%s-actions" (include "canary.clusterName" .)) "" .Values.actionPolicy.create -}}
{{- .Values.actionPolicy.name | default $own -}}
{{- end -}}

{{- define "canary.image" -}}
{{- with .Values.image -}}
{{- $tag := printf ":%s" (.tag | default $.Chart.AppVersion) -}}
{{- printf "%s%s" .repository (ternary (printf "@%s" .digest) $tag (ne .digest "")) -}}
{{- end -}}
{{- end -}}

{{- /* What the controller is told, as variables. */ -}}
{{- define "canary.settings" -}}
- {name: CANARY_NAMESPACE, value: {{ .Values.watch.namespace | quote }}}
- {name: CANARY_SELECTOR, value: {{ .Values.watch.selector | quote }}}
- {name: CANARY_CROSS_NAMESPACE, value: {{ .Values.watch.crossNamespace | quote }}}
- {name: CANARY_METRICS_SERVER, value: {{ .Values.metricsServer | quote }}}
- {name: CANARY_ALLOWED_METRICS_SERVERS, value: {{ join "," (concat .Values.allowedMetricsServers (include "canary.loadtesterAddress" . | fromJsonArray)) | quote }}}
- {name: CANARY_LISTEN, value: {{ printf "%s:%d" .Values.listen.host (int .Values.listen.port) | quote }}}
- {name: CANARY_LEASE, value: {{ include "canary.lease" . | quote }}}
- {name: CANARY_LEASE_NAMESPACE, value: {{ .Release.Namespace | quote }}}
- {name: CANARY_LEASE_DURATION, value: {{ .Values.lease.duration | quote }}}
- {name: CANARY_WORKERS, value: {{ int .Values.workers | quote }}}
- {name: CANARY_RESYNC, value: {{ .Values.resync | quote }}}
- {name: CANARY_QPS, value: {{ .Values.qps | quote }}}
- {name: CANARY_BURST, value: {{ int .Values.burst | quote }}}
- {name: CANARY_ACTION_POLICY, value: {{ include "canary.actionPolicy" . | quote }}}
- {name: CANARY_CLUSTER_NAME, value: {{ .Values.alerts.clusterName | quote }}}
- {name: CANARY_LOG_FORMAT, value: {{ .Values.log.format | quote }}}
- {name: CANARY_LOG_LEVEL, value: {{ .Values.log.level | quote }}}
{{- with .Values.receivers.secret }}
- {name: CANARY_HOOKS_TOKEN, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: token, optional: true}}}
- {name: CANARY_HOOKS_KEY, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: key, optional: true}}}
{{- end }}
{{- end -}}

{{- /* Where the addresses lead that may be asked, as a JSON list of NetworkPolicyPeers: the namespace of a Service (`name`,
`name.namespace`, `name.namespace.svc…`) or an IP address. Empty where one is anything else, since a NetworkPolicy knows
no names. */ -}}
{{- define "canary.prometheus" -}}
{{- $peers := list -}}{{- $open := false -}}
{{- range compact (prepend .Values.allowedMetricsServers .Values.metricsServer) -}}
{{- $host := regexReplaceAll "^https?://([^/]*@)?(\\[[^]]*\\]|[^:/]*).*$" . "${2}" | trimAll "[]" | lower -}}
{{- $labels := splitList "." $host -}}
{{- if regexMatch "^([0-9]+[.]){3}[0-9]+$" $host -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" (printf "%s/32" $host))) -}}
{{- else if contains ":" $host -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" (printf "%s/128" $host))) -}}
{{- else if and (ne . "*") (or (le (len $labels) 2) (eq (index $labels 2) "svc")) -}}
{{- $space := ternary $.Release.Namespace (last (slice $labels 0 (min 2 (len $labels) | int))) (eq (len $labels) 1) -}}
{{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $space))) -}}
{{- else -}}
{{- $open = true -}}
{{- end -}}
{{- end -}}
{{- toJson (ternary list (uniq $peers) $open) -}}
{{- end -}}

{{- /* The ports on which Prometheus is reached, as a JSON list: those of the values, and those that the addresses name. */ -}}
{{- define "canary.prometheusPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.prometheusPorts }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- range prepend .Values.allowedMetricsServers .Values.metricsServer -}}
{{- $port := regexFind "^https?://(\\[[^]]*\\]|[^:/]*):[0-9]+" . | regexFind "[0-9]+$" -}}
{{- if $port }}{{ $ports = append $ports (int $port) }}{{ end -}}
{{- end -}}
{{- toJson (uniq $ports) -}}
{{- end -}}

{{- define "canary.selectorLabels" -}}
app.kubernetes.io/name: canary
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- /* Where hooks find the load tester, as a JSON list; empty without one, and where all addresses may be called. */ -}}
{{- define "canary.loadtesterAddress" -}}
{{- $address := printf "http://%s-loadtester.%s" (include "canary.fullname" .) .Release.Namespace -}}
{{- toJson (ternary (list $address) list (and .Values.loadtester.enabled (not (has "*" .Values.allowedMetricsServers)))) -}}
{{- end -}}

{{- define "canary.loadtesterLabels" -}}
app.kubernetes.io/name: canary
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: loadtester
{{- end -}}

{{- define "canary.labels" -}}
app.kubernetes.io/name: canary
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "canary.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "canary.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
