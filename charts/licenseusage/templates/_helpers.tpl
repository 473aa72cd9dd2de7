{{/* The first part of all names. ClusterRoles are one for a cluster: a second installation needs another. */}}
{{- define "licenseusage.name" -}}
{{- .Values.nameOverride | default "licenseusage" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of an object. Call with (list $ component). */}}
{{- define "licenseusage.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "licenseusage.name" $root }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels that select pods; they never change. Call with (list $ component). */}}
{{- define "licenseusage.selector" -}}
app.kubernetes.io/name: {{ include "licenseusage.name" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* registry/repository:tag, or @digest. A subchart's parent may set global.imageRegistry. */}}
{{- define "licenseusage.image" -}}
{{- $registry := .Values.image.registry | default (.Values.global).imageRegistry | default "" -}}
{{- $name := ternary .Values.image.repository (printf "%s/%s" $registry .Values.image.repository) (empty $registry) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "licenseusage.pullSecrets" -}}
{{- with .Values.image.pullSecrets | default (.Values.global).imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The pod's and the container's security context: any user but root, and nothing to write to. */}}
{{- define "licenseusage.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.fsGroup }}
fsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "licenseusage.security" -}}
{{- with .Values.fsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "licenseusage.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "licenseusage.ledgerClaim" -}}
{{- .Values.ledger.existingClaim | default (printf "%s-ledger" (include "licenseusage.name" .)) -}}
{{- end -}}

{{- define "licenseusage.identitySecret" -}}
{{- .Values.keys.identitySecret | default (printf "%s-identity" (include "licenseusage.name" .)) -}}
{{- end -}}

{{- define "licenseusage.pseudonymSecret" -}}
{{- .Values.keys.pseudonymSecret | default (printf "%s-pseudonym" (include "licenseusage.name" .)) -}}
{{- end -}}

{{- define "licenseusage.vendorKeys" -}}
{{- .Values.vendor.keysConfigMap | default (printf "%s-vendor-keys" (include "licenseusage.name" .)) -}}
{{- end -}}

{{- define "licenseusage.endpoints" -}}
{{- printf "%s-endpoints" (include "licenseusage.name" .) -}}
{{- end -}}

{{- define "licenseusage.keyStatements" -}}
{{- printf "%s-key-statements" (include "licenseusage.name" .) -}}
{{- end -}}

{{/* A claim that outlives `helm uninstall`. Call with (dict "root" $ "name" … "component" … "storage" map). */}}
{{- define "licenseusage.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "licenseusage.labels" (list .root .component) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
    argocd.argoproj.io/sync-options: Prune=false,Delete=false
    kustomize.toolkit.fluxcd.io/prune: disabled
spec:
  accessModes:
    {{- toYaml .storage.accessModes | nindent 4 }}
  {{- with .storage.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .storage.size }}
{{- end -}}

{{/* The kind of roles: those of one namespace need a namespace among their metadata. */}}
{{- define "licenseusage.role" -}}
{{- ternary "Role" "ClusterRole" .Values.singleNamespace -}}
{{- end -}}

{{- define "licenseusage.roleNamespace" -}}
{{- if .Values.singleNamespace -}}
namespace: {{ .Release.Namespace }}
{{- end -}}
{{- end -}}
