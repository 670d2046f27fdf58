// SPDX-License-Identifier: Apache-2.0
//
// The PE32+ headers of a UEFI application (UEFI 2.1.1; PE Format, Microsoft),
// written out so that the image is the same bytes wherever it is built. The
// sizes come from pe.ld.
//
// The code reaches everything relative to itself and needs no relocation. The
// one base relocation block is empty and there because some firmware refuses
// to move an image that has none.

	.section .headers, "a"
	.ascii "MZ"
	.skip 0x3a
	.long pe                     // offset of the PE signature

	.balign 8
pe:	.ascii "PE\0\0"
	.short 0x8664                // Machine: x86-64
	.short 3                     // NumberOfSections
	.long 0                      // TimeDateStamp: none, the build is reproducible
	.long 0, 0                   // no COFF symbols
	.short sections - optional
	.short 0x0022                // EXECUTABLE_IMAGE, LARGE_ADDRESS_AWARE

optional:
	.short 0x020b                // PE32+
	.byte 0, 0                   // linker version
	.long text_file_size
	.long reloc_file_size
	.long data_size              // uninitialized
	.long efi_main               // AddressOfEntryPoint
	.long text_start             // BaseOfCode
	.quad 0                      // ImageBase
	.long 0x1000, 0x200          // SectionAlignment, FileAlignment
	.short 0, 0, 0, 0, 0, 0      // versions
	.long 0
	.long image_size
	.long headers_file_size
	.long 0                      // CheckSum
	.short 10                    // Subsystem: EFI application
	.short 0x0160                // HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT
	.quad 0, 0, 0, 0             // stack and heap: the firmware's
	.long 0
	.long 6                      // NumberOfRvaAndSizes
	.quad 0, 0, 0, 0, 0          // export, import, resource, exception, certificate
	.long reloc_start, reloc_size

sections:
	.ascii ".text\0\0\0"
	.long text_size, text_start, text_file_size, text_file
	.long 0, 0, 0
	.long 0x60000020             // code, execute, read

	.ascii ".reloc\0\0"
	.long reloc_size, reloc_start, reloc_file_size, reloc_file
	.long 0, 0, 0
	.long 0x42000040             // initialized data, discardable, read

	.ascii ".data\0\0\0"
	.long data_size, data_start, 0, 0
	.long 0, 0, 0
	.long 0xc0000080             // uninitialized data, read, write

	.section .reloc, "a"
	.long text_start             // page
	.long reloc_size
	.short 0, 0                  // two entries of type ABSOLUTE: padding
