{{- /* What the controller's account may write of VirtualServices: see _account.tpl. */ -}}

{{- /* The user's routes stay, in their order; of them only destinations and copies change. Indices are written as three
digits, since CEL can't count: of more than a thousand routes of a kind only the number is compared beyond them. */ -}}
{{- define "canary.account.virtualservices" -}}
{{- $primaries := .Values.primaries.enabled -}}
{{- $own := ternary "variables.own || request.operation == 'UPDATE' && " "" $primaries -}}
{{- $added := ternary ", 'canary-controller.dev/service', 'canary-controller.dev/original'" "" $primaries -}}
{{- $adopts := ternary "variables.adopts || " "" $primaries }}
{{- $sticky := ternary " && !route.?name.orValue('').startsWith('canary-controller.dev.cookie-')" "" $primaries }}
matchConstraints:
  resourceRules:
  - {apiGroups: [networking.istio.io], apiVersions: ["*"], operations: [{{ ternary "CREATE, UPDATE, DELETE" "UPDATE" $primaries }}], resources: [virtualservices]}
variables:
{{- if $primaries }}
- name: own
  expression: {{ include "canary.account.own" . | quote }}
{{- end }}
- {name: digits, expression: "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"}
- {name: noted, expression: "object.metadata.?annotations.orValue({})"}
- {name: notes, expression: "oldObject.metadata.?annotations.orValue({})"}
{{- if $primaries }}
- name: adopts
  expression: "variables.noted[?'canary-controller.dev/service'].orValue('') != variables.notes[?'canary-controller.dev/service'].orValue('')"
{{- end }}
{{- range $kind := list "http" "tcp" "tls" }}
{{- range $name, $object := dict "after" "object" "before" "oldObject" }}
- name: {{ $kind }}{{ title $name }}
  expression: {{ printf "%s.spec.?%s.orValue([]).filter(route, !route.?name.orValue('').startsWith('canary-controller.dev.match-')%s)" $object $kind $sticky | quote }}
{{- end }}
{{- end }}
validations:
- expression: >-
    {{ $own }}{{ include "canary.account.same" (list "object.metadata" "oldObject.metadata" "['annotations', 'resourceVersion', 'generation', 'managedFields']") }} &&
    {{ include "canary.account.same" (list "variables.noted" "variables.notes" (printf "['canary-controller.dev/routes'%s]" $added)) }} &&
    {{ include "canary.account.same" (list "object.spec" "oldObject.spec" "['http', 'tcp', 'tls']") }}
  message: the controller changes nothing of a VirtualService but its routes
  reason: Forbidden
{{- range $kind, $free := dict "http" "['route', 'mirror', 'mirrorPercentage']" "tcp" "['route']" "tls" "['route']" }}
{{- $after := printf "variables.%sAfter" $kind }}
{{- $before := printf "variables.%sBefore" $kind }}
- expression: >-
    {{ $own }}size({{ $after }}) == size({{ $before }}) &&
    variables.digits.all(a, a * 100 >= size({{ $after }}) || variables.digits.all(b, a * 100 + b * 10 >= size({{ $after }}) ||
    variables.digits.all(c, a * 100 + b * 10 + c >= size({{ $after }}) || [a * 100 + b * 10 + c].all(i,
    {{ include "canary.account.same" (list (printf "%s[i]" $after) (printf "%s[i]" $before) $free) }} &&
    ({{ $adopts }}{{ $after }}[i].?route.orValue([]).filter(entry, !{{ $before }}[i].?route.orValue([]).exists(old, old.?destination == entry.?destination)).size() <= 1) &&
    {{ $after }}[i].?route.orValue([]).all(entry, entry.all(field, field in ['weight', 'destination'] ||
    {{ $before }}[i].?route.orValue([]).exists(old, field in old && old[field] == entry[field]
    {{- if $primaries }} || field == 'headers' && 'canary-controller.dev/service' in variables.noted &&
    old.?headers.?request == entry.?headers.?request && old.?headers.?response.?set == entry.?headers.?response.?set &&
    old.?headers.?response.?remove == entry.?headers.?response.?remove
    {{- end }})))))))
  message: the controller changes nothing of a route but its destinations' weights, one destination and a copy
  reason: Forbidden
{{- end }}
{{- end -}}
