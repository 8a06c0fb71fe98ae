"""The QEMU engine. In: a platform that QEMU has a machine for, images. Out: the same board, run by QEMU as a child."""
