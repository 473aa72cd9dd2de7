-- Health of a LicenseUsage or UsageReceipt for Argo CD, by the conditions of kstatus: Degraded only if a person must
-- act (Stalled), Healthy if Ready at the current generation, else Progressing.
local function progressing(message)
  return {status = "Progressing", message = message}
end

local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return progressing("The operator has not looked at this version yet")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local stalled, ready = conditions.Stalled, conditions.Ready
if stalled ~= nil and stalled.status == "True" then
  return {status = "Degraded", message = stalled.reason .. ": " .. stalled.message}
end
if ready == nil then
  return progressing("The operator has stated no condition yet")
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
return progressing(ready.reason .. ": " .. ready.message)
