-- Health of a UsageReport for Argo CD, by its delivery. The operator makes these objects; nobody commits them.
local status = obj.status or {}
local health = {
  Pending = "Progressing",
  Sending = "Progressing",
  AwaitingApproval = "Suspended",
  Accepted = "Healthy",
  Rejected = "Degraded",
  Conflict = "Degraded",
}

local message = status.message
if message == nil or message == "" then
  message = status.delivery or "The operator has stated nothing yet"
end
return {status = health[status.delivery] or "Progressing", message = message}
