{{- /* Written by `make rbac` from the tables in canary/, with their reasons. */ -}}

{{- define "canary.rules.lookedAfter" -}}
# the desired version; a finalizer while a rollout runs
- apiGroups: [canary-controller.dev]
  resources: [canaries]
  verbs: [get, list, watch, patch]
# the status
- apiGroups: [canary-controller.dev]
  resources: [canaries/status]
  verbs: [patch]
# actions of users; deleted after an hour
- apiGroups: [canary-controller.dev]
  resources: [canaryactions]
  verbs: [list, watch, delete]
# policies and templates of Canaries
- apiGroups: [canary-controller.dev]
  resources: [canarypolicies, metrictemplates]
  verbs: [list, watch]
# the pod selector of a host
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
# the number of desired pods, and new builds
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch]
# the number of available pods during an update
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# the revision of a version
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
# ownership of targets, as `canary run`
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch]
# what `kubectl describe` shows
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# the weights that move
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, patch]
# the known versions
- apiGroups: [networking.istio.io]
  resources: [destinationrules]
  verbs: [list, watch]
{{- end -}}

{{- define "canary.rules.primaries" -}}
# routes to primary and canary
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [create, delete]
# routes to primary and canary
- apiGroups: [networking.istio.io]
  resources: [destinationrules]
  verbs: [get, create, patch, delete]
# the primary; the template of the target of a deleted Canary
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, patch, delete]
# replicas of the target and the primary
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
# the Services of primary and canary
- apiGroups: [""]
  resources: [services]
  verbs: [create, patch, delete]
# the last promoted templates
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [create, delete]
# what pods of targets read, and copies of it
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, delete]
# the scalers of target and primary
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, create, patch, delete]
# the scalers of target and primary
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, create, patch, delete]
# the primary; the node selector by which the target runs or doesn't; the template of the target of a deleted Canary
- apiGroups: [apps]
  resources: [daemonsets]
  verbs: [create, patch, delete]
{{- end -}}

{{- define "canary.rules.primarySecrets" -}}
# what pods of targets read, and copies of it
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, delete]
{{- end -}}

{{- define "canary.rules.metricSecrets" -}}
# credentials that MetricTemplates name
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end -}}

{{- define "canary.rules.metricApis" -}}
# external metrics, each a resource of its own name
- apiGroups: [external.metrics.k8s.io]
  resources: ["*"]
  verbs: [list]
# values of KeptnMetrics
- apiGroups: [metrics.keptn.sh]
  resources: [keptnmetrics]
  verbs: [get]
{{- end -}}

{{- define "canary.rules.hooks" -}}
# rollbacks that reported alerts ask for
- apiGroups: [canary-controller.dev]
  resources: [canaryactions]
  verbs: [create]
{{- end -}}

{{- define "canary.rules.alerts" -}}
# receivers of alerts
- apiGroups: [canary-controller.dev]
  resources: [alertproviders]
  verbs: [get]
# addresses of AlertProviders
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end -}}

{{- define "canary.rules.ofAll" -}}
# policies for Canaries of all namespaces
- apiGroups: [canary-controller.dev]
  resources: [clustercanarypolicies]
  verbs: [list, watch]
{{- end -}}

{{- define "canary.rules.lead" -}}
# leader election
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "canary.lease" . | quote }}]
  verbs: [get, patch]
# the first leader election
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
{{- end -}}

{{- define "canary.rules.proof" -}}
# verification of authors
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
  resourceNames: [{{ include "canary.actionPolicy" . | quote }}]
  verbs: [get]
{{- end -}}

{{- define "canary.rules.seen" -}}
# the process that works on a target
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get]
# spec and status
- apiGroups: [canary-controller.dev]
  resources: [canaries, canarypolicies, clustercanarypolicies, metrictemplates, alertproviders, canaryactions]
  verbs: [get, list, watch]
# what `canary describe` shows
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# the pod selector of a version
- apiGroups: [""]
  resources: [services]
  verbs: [get]
# the build of a version
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get]
# the build of a version
- apiGroups: [apps]
  resources: [statefulsets, daemonsets]
  verbs: [get, list]
# the build of a version
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
# which versions requests can be sent to
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get]
# the known versions
- apiGroups: [networking.istio.io]
  resources: [destinationrules]
  verbs: [list]
{{- end -}}

{{- /* Objects that carry the weights. */ -}}
{{- define "canary.routes" -}}
virtualservices
{{- end -}}

{{- /* Kinds that are written for targets that have a primary. */ -}}
{{- define "canary.primaries" -}}
virtualservices destinationrules deployments services controllerrevisions configmaps horizontalpodautoscalers scaledobjects daemonsets secrets
{{- end -}}

{{- /* Whether a Lease is one of a target, in CEL. */ -}}
{{- define "canary.account.targets" -}}
object.metadata.name.startsWith('canary-virtualservice-')
{{- end -}}
