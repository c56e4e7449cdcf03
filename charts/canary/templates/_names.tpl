{{- /* Names and labels. Helm gives a chart's templates no other place for what they share. */ -}}

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

{{- define "canary.selectorLabels" -}}
app.kubernetes.io/name: canary
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
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
