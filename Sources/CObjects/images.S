// SPDX-License-Identifier: Apache-2.0
// libbpf reads ELF in place, hence the alignment.
	.section .rodata
	.balign 16
	.globl ebee_execsnoop_begin, ebee_execsnoop_end
ebee_execsnoop_begin:
	.incbin "execsnoop.bpf.o"
ebee_execsnoop_end:
	.balign 16
	.globl ebee_rmdetect_begin, ebee_rmdetect_end
ebee_rmdetect_begin:
	.incbin "rmdetect.bpf.o"
ebee_rmdetect_end:
	.section .note.GNU-stack, "", %progbits
