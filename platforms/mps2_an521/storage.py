# Words that read back what was written, 0 before: PPC and MPC registers, which nothing here enforces.
if request.IsInit:
    words = {}
elif request.IsRead:
    shift = 8 * (request.Offset % 4)
    request.Value = (words.get(request.Offset - request.Offset % 4, 0) >> shift) & ((1 << (8 * request.Length)) - 1)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    shift = 8 * (request.Offset % 4)
    mask = ((1 << (8 * request.Length)) - 1) << shift
    words[o] = (words.get(o, 0) & (0xFFFFFFFF ^ (mask & 0xFFFFFFFF))) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
