{{- /* What values can't be, in sentences: those of checks.yaml, and what one value says about another. */ -}}

{{- define "canary.checks" -}}
{{- $problems := concat (include "canary.checks.words" . | fromJsonArray) (include "canary.checks.whole" . | fromJsonArray) -}}
{{- with $problems }}{{ fail (join "\n" (prepend . "the values can't be used:")) }}{{ end -}}
{{- end -}}

{{- /* A JSON list of what checks.yaml finds. */ -}}
{{- define "canary.checks.words" -}}
{{- $problems := list -}}
{{- range $check := .Files.Get "checks.yaml" | fromYamlArray -}}
{{- $value := $.Values -}}
{{- range splitList "." $check.value }}{{ $value = index $value . }}{{ end -}}
{{- $list := kindIs "slice" $value -}}
{{- range $at, $item := ternary $value (list $value) $list -}}
{{- $field := $check.field | default "" -}}
{{- $found := ternary (get (ternary $item (dict) (kindIs "map" $item)) $field) $item (ne $field "") -}}
{{- $text := toString $found -}}
{{- $long := gt (len $text) (int ($check.longest | default 4096)) -}}
{{- $below := and (hasKey $check "least") (lt (float64 $found) (float64 $check.least)) -}}
{{- $above := and (hasKey $check "most") (gt (float64 $found) (float64 $check.most)) -}}
{{- if or $long $below $above (not (regexMatch ($check.pattern | default "") $text)) -}}
{{- $index := ternary (printf "[%d]" $at) "" $list -}}
{{- $where := printf "%s%s%s" $check.value $index (ternary (printf ".%s" $field) "" (ne $field "")) -}}
{{- $problems = append $problems (printf "%s: %s %s" $where (toJson $found) $check.sentence) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- /* A JSON list of what values say about each other, or about the chart. */ -}}
{{- define "canary.checks.whole" -}}
{{- $problems := list -}}
{{- range prepend .Values.allowedMetricsServers .Values.metricsServer -}}
{{- if regexMatch "^https?://[^/]*@" . -}}
{{- $problems = append $problems "metricsServer, allowedMetricsServers: whoever reads the Deployment would read the password; give it by env, from a Secret" -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^(127\\.|localhost$|\\[[0:]*:0*1\\]$)" .Values.listen.host -}}
{{- $problems = append $problems (printf "listen.host: %s is heard within the pod only, so the kubelet's probes and Prometheus couldn't reach it; write 0.0.0.0, or [::] in a cluster with IPv6 only" .Values.listen.host) -}}
{{- end -}}
{{- $set := list -}}
{{- range include "canary.settings" . | fromYamlArray }}{{ $set = append $set .name }}{{ end -}}
{{- range .Values.env -}}
{{- if has .name $set -}}
{{- $problems = append $problems (printf "env: %s is set by the chart already, from its own values; change it there" .name) -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) -}}
{{- $problems = append $problems "serviceAccount.name: is missing; name the account that is there already, or let the chart create one" -}}
{{- end -}}
{{- range $label := keys (include "canary.selectorLabels" . | fromYaml) | sortAlpha -}}
{{- if hasKey $.Values.podLabels $label -}}
{{- $problems = append $problems (printf "podLabels: %s is a label by which the pods are found; the chart sets it" $label) -}}
{{- end -}}
{{- end -}}
{{- range $label := keys (include "canary.labels" . | fromYaml) | sortAlpha -}}
{{- if hasKey $.Values.monitor.labels $label -}}
{{- $problems = append $problems (printf "monitor.labels: %s is set by the chart; choose another label" $label) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
