/// The smallest program that there is: it ends with the number of its arguments, and needs no library.
///
/// It is made of bytes because SwiftPM can't build for i386, and because a program that must run in an empty chroot can
/// bring no loader.
enum TinyProgram {
    enum Machine { case native, i386 }

    static func bytes(_ machine: Machine) -> [UInt8] {
        switch machine {
        case .i386:
            // mov ebx, [esp]; mov eax, 1 (exit); int 0x80
            elf32(machine: 3, code: [0x8b, 0x1c, 0x24, 0xb8, 1, 0, 0, 0, 0xcd, 0x80])
        case .native:
            #if arch(x86_64)
                // mov edi, [rsp]; mov eax, 60 (exit); syscall
                elf64(machine: 62, code: [0x8b, 0x3c, 0x24, 0xb8, 60, 0, 0, 0, 0x0f, 0x05])
            #elseif arch(arm64)
                // ldr x0, [sp]; mov x8, #93 (exit); svc #0
                elf64(machine: 183, code: [0xe0, 0x03, 0x40, 0xf9, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4])
            #endif
        }
    }

    private static func le16(_ value: UInt16) -> [UInt8] { [UInt8(value & 0xff), UInt8(value >> 8)] }
    private static func le32(_ value: UInt32) -> [UInt8] { le16(UInt16(value & 0xffff)) + le16(UInt16(value >> 16)) }
    private static func le64(_ value: UInt64) -> [UInt8] {
        le32(UInt32(value & 0xffff_ffff)) + le32(UInt32(value >> 32))
    }

    /// elf(5): magic, class, little-endian, version; then an executable of this machine.
    private static func identification(class bits: UInt8, machine: UInt16) -> [UInt8] {
        [0x7f, 0x45, 0x4c, 0x46, bits, 1, 1, 0] + [UInt8](repeating: 0, count: 8) + le16(2) + le16(machine) + le32(1)
    }

    /// A header of 52 bytes, one segment's of 32 (readable, executable), and the code.
    private static func elf32(machine: UInt16, code: [UInt8]) -> [UInt8] {
        let base: UInt32 = 0x0804_8000
        let size = UInt32(84 + code.count)
        var bytes = identification(class: 1, machine: machine)
        for value in [base + 84, 52, 0, 0] { bytes += le32(value) }
        for value: UInt16 in [52, 32, 1, 0, 0, 0] { bytes += le16(value) }
        for value in [1, 0, base, base, size, size, 5, 4096] { bytes += le32(value) }
        return bytes + code
    }

    /// A header of 64 bytes, one segment's of 56, and the code.
    private static func elf64(machine: UInt16, code: [UInt8]) -> [UInt8] {
        let base: UInt64 = 0x40_0000
        let size = UInt64(120 + code.count)
        var bytes = identification(class: 2, machine: machine)
        for value in [base + 120, 64, 0] { bytes += le64(value) }
        bytes += le32(0)
        for value: UInt16 in [64, 56, 1, 0, 0, 0] { bytes += le16(value) }
        bytes += le32(1) + le32(5)
        for value in [0, base, base, size, size, 0x1_0000] { bytes += le64(value) }
        return bytes + code
    }
}
