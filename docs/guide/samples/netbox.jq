# netbox.jq: what NetBox's API is sent for one event of muster.
# The ids of site, role and device type are looked up before: --argjson ids '{...}'.
.data.host as $h | .data.entry as $e |
if $h == null then {device: null} else {
  device: {
    name: (if $h.name == "" then $h.serial else $h.name end),
    serial: $h.serial,
    status: ({registered: "active", shipped: "inventory", failed: "failed", quarantined: "failed"}[$h.phase] // "staged"),
    site: $ids.site, role: $ids.role, device_type: $ids.device_type,
    comments: $h.why,
    custom_fields: {muster_id: $h.id, muster_phase: $h.phase, muster_order: $h.order, muster_image: $h.image}
  },
  interfaces: [$h.report.nics[]? | {name, mac_address: .mac, type: "other", enabled: true, speed: (if .speed_mbps > 0 then .speed_mbps * 1000 else null end)}],
  inventory_items: ([$h.report.disks[]? | {name, part_id: .model, serial, description: "disk of \(.size / 1e9 | round) GB", discovered: true}]
    + [$h.report.cpus[]? | {name: "CPU", part_id: ., serial: "", description: "processor", discovered: true}]),
  journal_entry: {
    assigned_object_type: "dcim.device",
    kind: (if $h.phase == "failed" or $h.phase == "quarantined" then "danger" elif $e.kind == "move" then "success" else "info" end),
    comments: "\(.id): \($e.text)"
  }
} end
