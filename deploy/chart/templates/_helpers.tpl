{{/* The name of all objects. */}}
{{- define "wasm-issuer.name" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What pods are selected by. It is all that can never change, so it is one label and differs between releases. */}}
{{- define "wasm-issuer.selector" -}}
app.kubernetes.io/name: {{ include "wasm-issuer.name" . }}
{{- end }}

{{- define "wasm-issuer.labels" -}}
{{ include "wasm-issuer.selector" . }}
{{- if ne .Values.creator "static" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An object's metadata: (dict "of" $ "name" NAME "namespace" NAMESPACE "labels" MAP "annotations" MAP), the last three if there are any. */}}
{{- define "wasm-issuer.metadata" }}
metadata:
  name: {{ .name }}
{{- with .namespace }}
  namespace: {{ . }}
{{- end }}
  labels:
    {{- include "wasm-issuer.labels" .of | nindent 4 }}
{{- with .labels }}
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- with merge (dict) (.annotations | default dict) .of.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* "true" if the release may have objects of the cluster: only a team's own operator may not. */}}
{{- define "wasm-issuer.ofTheCluster" -}}
{{- if not .Values.watchNamespaces }}true{{ end }}
{{- end }}

{{- define "wasm-issuer.serviceAccount" -}}
{{- $default := ternary (include "wasm-issuer.name" .) "default" .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{/* Gives a Role or ClusterRole to the operator, where the role is: (dict "of" $ "name" ROLE "namespace" NAMESPACE). */}}
{{- define "wasm-issuer.binding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
{{- include "wasm-issuer.metadata" . }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ if .namespace }}Role{{ else }}ClusterRole{{ end }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "wasm-issuer.serviceAccount" .of }}
    namespace: {{ .of.Release.Namespace }}
{{- end }}

{{- define "wasm-issuer.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if or .tag (not .digest) }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- define "wasm-issuer.policyConfigMap" -}}
{{- .Values.policyConfigMap | default (printf "%s-policy" (include "wasm-issuer.name" .)) }}
{{- end }}

{{/* The values of a map, as flags: maxInFlight is --max-in-flight. Those without a value are left to the operator. */}}
{{- define "wasm-issuer.flags" -}}
{{- range $name, $value := . }}
{{- if not (kindIs "invalid" $value) }}
- {{ printf "--%s=%v" (kebabcase $name) (kindIs "float64" $value | ternary (int64 $value) $value) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What cannot be meant, told before anything is installed. */}}
{{- define "wasm-issuer.validate" -}}
{{- if and (not .Values.leaderElection.enabled) (or (gt (int .Values.replicas) 1) (gt (int .Values.shards) 1)) }}
{{- fail "with more than one of replicas or shards, leaderElection.enabled must be true: both would ask the CA for the same certificates" }}
{{- end }}
{{- if and .Values.policy .Values.policyConfigMap }}
{{- fail "policy and policyConfigMap exclude each other" }}
{{- end }}
{{- if and .Values.watchNamespaces .Values.metrics.secure.enabled }}
{{- fail "metrics.secure needs rights on the cluster, which an operator with watchNamespaces has not" }}
{{- end }}
{{- if and .Values.namespace.create (ne .Values.creator "static") }}
{{- fail "namespace.create is for `helm template` with creator=static: `helm uninstall` would delete the namespace with all its Secrets" }}
{{- end }}
{{- end }}
