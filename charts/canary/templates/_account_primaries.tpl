{{- /* What the controller's account may write of a target that has a primary: see _account.tpl. What it makes bears an
annotation with the name of its Canary; an object without it belongs to another client. */ -}}

{{- define "canary.account.marked" -}}
('canary-controller.dev/canary' in {{ . }}.metadata.?annotations.orValue({}))
{{- end -}}

{{- /* Own objects only: made, changed and deleted with the annotation. */ -}}
{{- define "canary.account.own" -}}
(request.operation == 'DELETE' || {{ include "canary.account.marked" "object" }}) && (request.operation == 'CREATE' || {{ include "canary.account.marked" "oldObject" }})
{{- end -}}

{{- /* Metadata that no writer decides, or that the server sets; `list` of keys beside it. */ -}}
{{- define "canary.account.metadata" -}}
{{ include "canary.account.same" (list "object.metadata" "oldObject.metadata" (printf "[%s'resourceVersion', 'generation', 'managedFields']" .)) }}
{{- end -}}

{{- /* The server counts changes of a DaemonSet's template in an annotation. */ -}}
{{- define "canary.account.cloned" -}}
validations:
- expression: >-
    {{ include "canary.account.own" . }} && (request.operation == 'DELETE' || object.metadata.name.endsWith('-primary')) ||
    request.operation == 'UPDATE' && !{{ include "canary.account.marked" "object" }} && !{{ include "canary.account.marked" "oldObject" }} &&
    {{ include "canary.account.metadata" "'annotations', " }} &&
    {{ include "canary.account.same" (list "object.metadata.?annotations.orValue({})" "oldObject.metadata.?annotations.orValue({})" "['deprecated.daemonset.template.generation']") }} &&
    {{ include "canary.account.same" (list "object.spec" "oldObject.spec" "['template']") }}
  message: the controller writes primaries that it made, and of other Deployments and DaemonSets the pod template only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.deployments" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [apps], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [deployments]}
{{ include "canary.account.cloned" . }}
{{- end -}}

{{- define "canary.account.daemonsets" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [apps], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [daemonsets]}
{{ include "canary.account.cloned" . }}
{{- end -}}

{{- define "canary.account.services" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [services]}
validations:
- expression: >-
    {{ include "canary.account.own" . }} ||
    request.operation == 'UPDATE' &&
    {{ include "canary.account.metadata" "'labels', 'annotations', " }} &&
    {{ include "canary.account.same" (list "object.spec" "oldObject.spec" "['selector', 'ports', 'trafficDistribution']") }}
  message: the controller writes Services that it made, and of others the selector, the ports, labels and annotations only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.controllerrevisions" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [apps], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [controllerrevisions]}
validations:
- expression: >-
    (request.operation == 'DELETE' || 'canary-controller.dev/primary' in object.metadata.?labels.orValue({})) &&
    (request.operation == 'CREATE' || 'canary-controller.dev/primary' in oldObject.metadata.?labels.orValue({}))
  message: the controller writes the templates of primaries only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.destinationrules" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [networking.istio.io], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [destinationrules]}
validations:
- expression: >-
    {{ include "canary.account.own" . }}
  message: the controller writes DestinationRules that it made only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.scalers" -}}
validations:
- expression: >-
    {{ include "canary.account.own" . }} ||
    request.operation == 'UPDATE' && object.spec == oldObject.spec &&
    {{ include "canary.account.metadata" "'annotations', " }} &&
    {{ include "canary.account.same" (list "object.metadata.?annotations.orValue({})" "oldObject.metadata.?annotations.orValue({})" "['autoscaling.keda.sh/paused-replicas']") }}
  message: the controller writes scalers that it made, and pauses others only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.horizontalpodautoscalers" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [autoscaling], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [horizontalpodautoscalers]}
{{ include "canary.account.scalers" . }}
{{- end -}}

{{- define "canary.account.scaledobjects" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [keda.sh], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [scaledobjects]}
{{ include "canary.account.scalers" . }}
{{- end -}}

{{- define "canary.account.configmaps" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [configmaps]}
validations:
- expression: >-
    {{ include "canary.account.own" . }}
  message: the controller writes copies of ConfigMaps only
  reason: Forbidden
{{- end -}}

{{- define "canary.account.secrets" -}}
matchConstraints:
  resourceRules:
  - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE, DELETE], resources: [secrets]}
validations:
- expression: >-
    {{ include "canary.account.own" . }}
  message: the controller writes copies of Secrets only
  reason: Forbidden
{{- end -}}
