-- RPMsg messages in a capture that rptwin wrote (link type USER0), for Wireshark and tshark 3.6 or newer.
--
--   tshark -X lua_script:rpmsg.lua -r run.pcapng
--   wireshark -X lua_script:rpmsg.lua run.pcapng
--
-- Put into the personal Lua plugins folder (Help, About Wireshark, Folders) it is there always. A dissector for what one
-- endpoint carries registers itself by the endpoint's name:
--
--   DissectorTable.get("rpmsg.name"):add("rptwin-echo", my_protocol)

local HEADER, RPMSG, NS = 16, 16, 40 -- bytes: rptwin's header, struct rpmsg_hdr, struct rpmsg_ns_msg
local NAME_SERVICE = 53

local rptwin = Proto("rptwin", "rptwin capture")
local rpmsg = Proto("rpmsg", "RPMsg")

local NS_FLAGS = { [0] = "create", [1] = "destroy", [2] = "ack" }
local ROLES = { [true] = "main", [false] = "remote" }

local r = {
  version = ProtoField.uint8("rptwin.version", "Version"),
  vdev = ProtoField.uint8("rptwin.vdev", "Vdev"),
  vring = ProtoField.uint8("rptwin.vring", "Vring"),
  flags = ProtoField.uint8("rptwin.flags", "Flags", base.HEX),
  from_driver = ProtoField.bool("rptwin.from_driver", "Sent by the driver", 8, nil, 1),
  to_main = ProtoField.bool("rptwin.to_main", "To main", 8, nil, 2),
  is_seen = ProtoField.bool("rptwin.is_seen", "Seen by the receiver", 8, nil, 4),
  head = ProtoField.uint16("rptwin.head", "Head of its chain"),
  pair = ProtoField.uint16("rptwin.pair", "Pair of cores"),
  seen = ProtoField.relative_time("rptwin.seen", "Seen after"),
}
rptwin.fields = { r.version, r.vdev, r.vring, r.flags, r.from_driver, r.to_main, r.is_seen, r.head, r.pair, r.seen }

local m = {
  src = ProtoField.uint32("rpmsg.src", "Source"),
  dst = ProtoField.uint32("rpmsg.dst", "Destination"),
  reserved = ProtoField.uint32("rpmsg.reserved", "Reserved"),
  len = ProtoField.uint16("rpmsg.len", "Length"),
  flags = ProtoField.uint16("rpmsg.flags", "Flags", base.HEX),
  payload = ProtoField.bytes("rpmsg.payload", "Payload"),
  endpoint = ProtoField.string("rpmsg.endpoint", "Endpoint"),
  ns_name = ProtoField.string("rpmsg.ns.name", "Name"),
  ns_addr = ProtoField.uint32("rpmsg.ns.addr", "Address"),
  ns_flags = ProtoField.uint32("rpmsg.ns.flags", "Flags", base.DEC, NS_FLAGS),
}
rpmsg.fields =
  { m.src, m.dst, m.reserved, m.len, m.flags, m.payload, m.endpoint, m.ns_name, m.ns_addr, m.ns_flags }

local e = {
  version = ProtoExpert.new("rptwin.version.unknown", "Unknown version of the capture", expert.group.UNDECODED, expert.severity.ERROR),
  cut = ProtoExpert.new("rpmsg.cut", "Only the beginning of the payload is in the capture", expert.group.UNDECODED, expert.severity.NOTE),
  never = ProtoExpert.new("rptwin.never_seen", "The receiver never looked at it", expert.group.SEQUENCE, expert.severity.WARN),
  ns_size = ProtoExpert.new("rpmsg.ns.size", "Name-service message of the wrong size", expert.group.MALFORMED, expert.severity.ERROR),
}
rptwin.experts = { e.version, e.never }
rpmsg.experts = { e.cut, e.ns_size }

local by_name = DissectorTable.new("rpmsg.name", "RPMsg endpoint", ftypes.STRING, base.NONE, rpmsg)
local data = Dissector.get("data")

local names = {} -- of announced endpoints, by pair, vdev, announcer and address
local known = {} -- by frame: the name of the endpoint that it goes to or comes from

function rptwin.init()
  names, known = {}, {}
end

local context -- of the message that is dissected: pair, vdev, to_main

local function key(from_main, address)
  return string.format("%d.%d.%s.%d", context.pair, context.vdev, ROLES[from_main], address)
end

-- The first time that a frame is looked at they come in order: later announcements do not name earlier messages.
local function name_of(pinfo, src, dst)
  if not pinfo.visited then
    known[pinfo.number] = names[key(context.to_main, dst)] or names[key(not context.to_main, src)]
  end
  return known[pinfo.number]
end

local function announcement(buffer, pinfo, tree)
  if buffer:len() ~= NS then
    tree:add_proto_expert_info(e.ns_size)
    return "name service"
  end
  local name, address, flags = buffer(0, 32):string():match("^[^%z]*"), buffer(32, 4):le_uint(), buffer(36, 4):le_uint()
  local branch = tree:add(rpmsg, buffer(), "Name service")
  branch:add(m.ns_name, buffer(0, 32), name)
  branch:add_le(m.ns_addr, buffer(32, 4))
  branch:add_le(m.ns_flags, buffer(36, 4))
  if not pinfo.visited and flags == 0 then
    names[key(not context.to_main, address)] = name
  elseif not pinfo.visited and flags == 1 then
    names[key(not context.to_main, address)] = nil
  end
  return string.format("%s %s at %d", NS_FLAGS[flags] or string.format("flags %d", flags), name, address)
end

function rpmsg.dissector(buffer, pinfo, root)
  local src, dst = buffer(0, 4):le_uint(), buffer(4, 4):le_uint()
  local length = buffer(12, 2):le_uint()
  local tree = root:add(rpmsg, buffer(), string.format("RPMsg, %d to %d, %d bytes", src, dst, length))
  tree:add_le(m.src, buffer(0, 4))
  tree:add_le(m.dst, buffer(4, 4))
  tree:add_le(m.reserved, buffer(8, 4))
  tree:add_le(m.len, buffer(12, 2))
  tree:add_le(m.flags, buffer(14, 2))
  pinfo.cols.protocol = "RPMsg"
  pinfo.cols.src = string.format("%s:%d", ROLES[not context.to_main], src)
  pinfo.cols.dst = string.format("%s:%d", ROLES[context.to_main], dst)
  local kept = math.min(length, buffer:len() - RPMSG)
  local payload = kept > 0 and buffer(RPMSG, kept) or nil
  if payload then
    tree:add(m.payload, payload)
  end
  if kept < length then
    tree:add_proto_expert_info(e.cut)
  end
  local info = string.format("vdev[%d] %d to %d, ", context.vdev, src, dst)
  if dst == NAME_SERVICE and payload then
    pinfo.cols.protocol = "RPMsg NS"
    pinfo.cols.info = info .. announcement(payload:tvb(), pinfo, tree)
    return
  end
  local name = name_of(pinfo, src, dst)
  pinfo.cols.info = info .. string.format("%d bytes", length) .. (name and " of " .. name or "")
  if name then
    tree:add(m.endpoint, name):set_generated()
  end
  if payload and not (name and by_name:try(name, payload:tvb(), pinfo, root) > 0) then
    data:call(payload:tvb(), pinfo, root)
  end
end

function rptwin.dissector(buffer, pinfo, root)
  if buffer:len() < HEADER + RPMSG then
    return 0
  end
  local tree = root:add(rptwin, buffer(0, HEADER))
  tree:add_le(r.version, buffer(0, 1))
  if buffer(0, 1):uint() ~= 1 then
    tree:add_proto_expert_info(e.version)
    return HEADER
  end
  local flags = buffer(3, 1):uint()
  context = {
    vdev = buffer(1, 1):uint(),
    pair = buffer(6, 2):le_uint(),
    to_main = math.floor(flags / 2) % 2 == 1,
  }
  tree:add_le(r.vdev, buffer(1, 1))
  tree:add_le(r.vring, buffer(2, 1))
  local bits = tree:add_le(r.flags, buffer(3, 1))
  bits:add_le(r.from_driver, buffer(3, 1))
  bits:add_le(r.to_main, buffer(3, 1))
  bits:add_le(r.is_seen, buffer(3, 1))
  tree:add_le(r.head, buffer(4, 2))
  tree:add_le(r.pair, buffer(6, 2))
  if math.floor(flags / 4) % 2 == 1 then
    local nanoseconds = buffer(8, 8):le_uint64()
    local seconds = (nanoseconds / 1000000000):tonumber()
    local rest = (nanoseconds % 1000000000):tonumber()
    tree:add(r.seen, buffer(8, 8), NSTime.new(seconds, rest))
  else
    tree:add_proto_expert_info(e.never)
  end
  tree:append_text(string.format(", vdev[%d].vring[%d]", context.vdev, buffer(2, 1):uint()))
  Dissector.get("rpmsg"):call(buffer(HEADER):tvb(), pinfo, root)
  return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, rptwin)
