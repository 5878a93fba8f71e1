import CEvents
import CLibbpf
import Glibc
import Testing

@testable import EbeeKernel

/// A struct of events.h as Swift imports it.
private struct Layout {
    let size: Int
    /// By name. Nil is a field that Swift could not import.
    let offsets: [String: Int?]

    init<Struct>(_ type: Struct.Type, _ fields: [String: PartialKeyPath<Struct>]) {
        size = MemoryLayout<Struct>.size
        offsets = fields.mapValues { MemoryLayout<Struct>.offset(of: $0) }
    }
}

/// The same as the compiler of the BPF programs laid it out.
@safe private struct BTF: ~Copyable {
    private let btf: OpaquePointer

    init?(image: UnsafeRawBufferPointer) {
        // The object as it is embedded in the daemon, through a file, which is what libbpf reads BTF from.
        let path = "/tmp/ebee-layout-\(getpid()).o"
        defer { _ = unsafe unlink(path) }
        guard let file = unsafe fopen(path, "w") else { return nil }
        unsafe fwrite(image.baseAddress, 1, image.count, file)
        unsafe fclose(file)
        guard let btf = unsafe btf__parse(path, nil) else { return nil }
        unsafe self.btf = btf
    }

    deinit { unsafe btf__free(btf) }

    /// Size, and offsets in bytes by name; nil where there is no such struct.
    func layout(_ name: String) -> (size: Int, offsets: [String: Int])? {
        let id = unsafe btf__find_by_name_kind(btf, name, UInt32(BTF_KIND_STRUCT))
        guard id > 0, let type = unsafe btf__type_by_id(btf, UInt32(id)) else { return nil }
        var offsets: [String: Int] = [:]
        let members = unsafe UnsafeRawPointer(type).advanced(by: MemoryLayout<btf_type>.size)
            .assumingMemoryBound(to: btf_member.self)
        for index in unsafe 0..<Int(type.pointee.info & 0xffff) {
            let member = unsafe members[index]
            let name = unsafe String(cString: btf__name_by_offset(btf, member.name_off))
            offsets[name] = Int(member.offset / 8)
        }
        return unsafe (Int(type.pointee.size), offsets)
    }
}

/// Every field of every record, by name: what the kernel's side wrote where, and where Swift reads it.
@Suite struct LayoutTests {
    private static let layouts: [String: Layout] = [
        "ebee_header": Layout(
            ebee_header.self,
            [
                "size": \.size, "kind": \.kind, "lane": \.lane, "sequence": \.sequence, "time": \.time, "pid": \.pid,
                "tid": \.tid,
            ]),
        "ebee_process": Layout(
            ebee_process.self,
            [
                "header": \.header, "start": \.start, "exit_duration": \.exit_duration, "exit_status": \.exit_status,
                "flags": \.flags, "ppid": \.ppid, "uid": \.uid, "euid": \.euid, "gid": \.gid, "login_uid": \.login_uid,
                "session_id": \.session_id, "pid_namespace": \.pid_namespace, "mnt_namespace": \.mnt_namespace,
                "arguments_count": \.arguments_count, "ancestors": \.ancestors,
                "executable_length": \.executable_length,
                "directory_length": \.directory_length, "cgroup_length": \.cgroup_length,
                "interpreter_length": \.interpreter_length, "arguments_length": \.arguments_length,
                "result": \.result,
                "comm": \.comm, "tty": \.tty,
            ]),
        "ebee_ancestor": Layout(ebee_ancestor.self, ["pid": \.pid, "comm": \.comm]),
        "ebee_exit": Layout(
            ebee_exit.self,
            ["header": \.header, "start": \.start, "duration": \.duration, "status": \.status, "padding": \.padding]),
        "ebee_victim": Layout(
            ebee_victim.self,
            [
                "inode": \.inode, "size": \.size, "mtime_seconds": \.mtime_seconds,
                "created_seconds": \.created_seconds,
                "mtime_nanoseconds": \.mtime_nanoseconds, "created_nanoseconds": \.created_nanoseconds,
                "device": \.device, "mode": \.mode, "owner": \.owner, "group": \.group, "links": \.links,
                "flags": \.flags,
            ]),
        "ebee_delete": Layout(
            ebee_delete.self,
            [
                "header": \.header, "start": \.start, "process": \.process, "victim": \.victim, "uid": \.uid,
                "euid": \.euid, "padding": \.padding,
                "result": \.result, "how": \.how, "via": \.via, "flags": \.flags, "base_length": \.base_length,
                "name_length": \.name_length, "source_base_length": \.source_base_length,
                "source_name_length": \.source_name_length, "comm": \.comm,
            ]),
        "ebee_lost": Layout(
            ebee_lost.self,
            [
                "header": \.header, "count": \.count, "from": \.from, "to": \.to, "why": \.why, "padding": \.padding,
            ]),
        "ebee_settings": Layout(
            ebee_settings.self,
            [
                "cgroup_root": \.cgroup_root, "pid_namespace": \.pid_namespace,
                "arguments_limit": \.arguments_limit, "report_failed": \.report_failed,
                "dentry_argument": \.dentry_argument, "unlink_arguments": \.unlink_arguments,
                "rmdir_arguments": \.rmdir_arguments, "rename_arguments": \.rename_arguments,
                "calls_32_bit": \.calls_32_bit, "look_up": \.look_up, "few_returns": \.few_returns,
            ]),
        "ebee_daemon": Layout(ebee_daemon.self, ["pid": \.pid, "is_in_charge": \.is_in_charge]),
        "ebee_account": Layout(
            ebee_account.self,
            [
                "sequence": \.sequence, "lost": \.lost, "missed": \.missed, "unjoined": \.unjoined,
                "open": \.open, "hidden": \.hidden, "padding": \.padding,
            ]),
    ]

    @Test(arguments: Recording.allCases)
    func swiftAndTheProgramsAgree(recording: Recording) throws {
        guard let btf = unsafe BTF(image: recording.image) else {
            Issue.record("no BTF in \(recording.object)")
            return
        }
        for (name, layout) in Self.layouts {
            guard let compiled = btf.layout(name) else {
                Issue.record("\(name) is not in the BTF of \(recording.object)")
                continue
            }
            #expect(layout.size == compiled.size, "size of \(name)")
            #expect(Set(layout.offsets.keys) == Set(compiled.offsets.keys), "fields of \(name)")
            for (field, offset) in layout.offsets {
                #expect(offset == compiled.offsets[field], "\(name).\(field) in \(recording.object)")
            }
        }
    }
}
