{{- /* Rules by which the controller works, as canary/kube/rbac.py has them with their reasons; at the end, what
every person may see. */ -}}

{{- define "canary.rules.lookedAfter" -}}
- apiGroups: [canary-controller.dev]
  resources: [canaries]
  verbs: [get, list, watch, patch]
- apiGroups: [canary-controller.dev]
  resources: [canaries/status]
  verbs: [patch]
- apiGroups: [canary-controller.dev]
  resources: [canaryactions]
  verbs: [list, watch, delete]
- apiGroups: [canary-controller.dev]
  resources: [canarypolicies, metrictemplates]
  verbs: [list, watch]
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, patch]
- apiGroups: [networking.istio.io]
  resources: [destinationrules]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "canary.rules.ofAll" -}}
- apiGroups: [canary-controller.dev]
  resources: [clustercanarypolicies]
  verbs: [list, watch]
{{- end -}}

{{- define "canary.rules.lead" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "canary.lease" . | quote }}]
  verbs: [get, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
{{- end -}}

{{- define "canary.rules.proof" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
  resourceNames: [{{ include "canary.actionPolicy" . | quote }}]
  verbs: [get]
{{- end -}}

{{- /* Besides our kinds: Events, which tell the story of a Canary, and what `canary wait` reads, in order to answer for
the build that runs behind a version and not for one before it. */ -}}
{{- define "canary.rules.seen" -}}
- apiGroups: [canary-controller.dev]
  resources: [canaries, canarypolicies, clustercanarypolicies, metrictemplates, canaryactions]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get]
- apiGroups: [networking.istio.io]
  resources: [destinationrules]
  verbs: [list]
- apiGroups: [""]
  resources: [services]
  verbs: [get]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get]
- apiGroups: [apps]
  resources: [statefulsets, daemonsets]
  verbs: [get, list]
- apiGroups: [apps]
  resources: [replicasets, controllerrevisions]
  verbs: [list]
{{- end -}}
