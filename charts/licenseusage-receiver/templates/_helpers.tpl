{{- define "receiver.name" -}}
{{- .Values.nameOverride | default "licenseusage-receiver" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select pods; they never change. */}}
{{- define "receiver.selector" -}}
app.kubernetes.io/name: {{ include "receiver.name" . }}
app.kubernetes.io/component: receiver
{{- end -}}

{{- define "receiver.labels" -}}
{{ include "receiver.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* registry/repository:tag, or @digest. A subchart's parent may set global.imageRegistry. */}}
{{- define "receiver.image" -}}
{{- $registry := .Values.image.registry | default (.Values.global).imageRegistry | default "" -}}
{{- $name := ternary .Values.image.repository (printf "%s/%s" $registry .Values.image.repository) (empty $registry) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
