{{- /* What the controller's account may write, as CEL: parts of ValidatingAdmissionPolicies. */ -}}

{{- define "canary.account.leases" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [coordination.k8s.io], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [leases]}
validations:
- expression: >-
    {{ include "canary.account.targets" . }} ||
    object.metadata.namespace + '/' + object.metadata.name == {{ printf "%s/%s" .Release.Namespace (include "canary.lease" .) | squote }}
  message: the controller writes Leases of targets only, and its own
  reason: Forbidden
{{- end -}}

{{- define "canary.account.events" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE], resources: [events]}
validations:
- expression: >-
    object.involvedObject.?kind.orValue('') == 'Canary' &&
    object.involvedObject.?apiVersion.orValue('').startsWith('canary-controller.dev/') &&
    object.?source.?component.orValue('') == 'canary-controller.dev/controller'
  message: the controller writes Events about Canaries only, in its own name
  reason: Forbidden
{{- end -}}

{{- define "canary.account.canaryactions" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [canary-controller.dev], apiVersions: ["*"], operations: [CREATE], resources: [canaryactions]}
validations:
- expression: object.spec.verb == 'rollback' && object.spec.?alert.orValue('') != ''
  message: the controller creates rollbacks that an alert asks for only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.canaries" -}}
{{- $finalizer := "'canary-controller.dev/rollout'" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [canary-controller.dev], apiVersions: ["*"], operations: [UPDATE], resources: [canaries]}
variables:
- {name: after, expression: "object.metadata.?finalizers.orValue([]).filter(one, one != {{ $finalizer }})"}
- {name: before, expression: "oldObject.metadata.?finalizers.orValue([]).filter(one, one != {{ $finalizer }})"}
{{- $message := "the controller changes a Canary's status and its own finalizer only" }}
{{- if .Values.receivers.secret }}
{{- $message = "the controller changes a Canary's status, its own finalizer, and spec.version to one of its history only" }}
- name: back
  expression: >-
    object.spec.?version.hasValue() &&
    oldObject.?status.?history.orValue([]).exists(one, one.stable.name == object.spec.version) &&
    {{ include "canary.account.same" (list "object.spec" "oldObject.spec" "['version']") }}
{{- else }}
- {name: back, expression: "false"}
{{- end }}
validations:
- expression: >-
    (object.spec == oldObject.spec || variables.back) && variables.after == variables.before &&
    {{ include "canary.account.same" (list "object.metadata" "oldObject.metadata" "['finalizers', 'resourceVersion', 'generation', 'managedFields']") }}
  message: {{ $message }}
  reason: Forbidden
{{- end -}}

{{- /* Two maps that are equal but for some keys: `list after before keys`. */ -}}
{{- define "canary.account.same" -}}
{{- $after := index . 0 -}}{{- $before := index . 1 -}}{{- $free := index . 2 -}}
{{ $after }}.all(key, key in {{ $free }} || (key in {{ $before }} && {{ $after }}[key] == {{ $before }}[key])) && {{ $before }}.all(key, key in {{ $free }} || key in {{ $after }})
{{- end -}}
