/*
 * libaicpu_kernel.so and libaicore_kernel.so of a simulated platform.
 *
 * Clients hand the bytes of both files to the host library (spec/public-abi.md, section A.2, step 9). In this
 * implementation the programs of AICPU and AICore are part of the host library itself, so the files only say what
 * they are for: an ELF note, by which the host library tells them from programs of another platform, runtime or
 * implementation. Nothing calls into the object.
 *
 *     section     .note.simpler_rs, in a PT_NOTE segment
 *     name        "simpler-rs"
 *     type        SIMPLER_PROGRAM_TYPE: 1 AICPU program, 2 AICore program
 *     descriptor  "<arch> <runtime> 1", ends with a NUL; the last word is the version of this format
 *
 * It is written in assembler because a section must be declared as a note to get into a PT_NOTE segment.
 */
#if !defined(SIMPLER_PROGRAM_TYPE) || !defined(SIMPLER_PROGRAM_FOR)
#error "define SIMPLER_PROGRAM_TYPE as 1 or 2, and SIMPLER_PROGRAM_FOR as a string such as \"a2a3 host_build_graph\""
#endif

#define FORMAT_VERSION "1"
#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

__asm__(
    ".pushsection .note.simpler_rs, \"a\", %note\n"
    ".balign 4\n"
    ".long 2f - 1f\n"
    ".long 4f - 3f\n"
    ".long " TEXT(SIMPLER_PROGRAM_TYPE) "\n"
    "1: .asciz \"simpler-rs\"\n"
    "2: .balign 4\n"
    "3: .asciz \"" SIMPLER_PROGRAM_FOR " " FORMAT_VERSION "\"\n"
    "4: .balign 4\n"
    ".popsection\n");
