# FICR and UICR (nRF5340 PS, FICR, UICR): erased flash. A write is dropped: UICR is written through NVMC only.
if request.IsRead:
    request.Value = (1 << (8 * request.Length)) - 1
