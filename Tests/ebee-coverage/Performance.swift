import EbeeProtocol
import Glibc

/// What a file was just before it was deleted, as the process that deleted it saw it.
struct Facts {
    let inode, size, owner, group, links: Int64
    let device, mode, modified: String
    let created: String?

    /// - Parameter words: of a `stat` line of ebee-act.
    init?(_ words: [Substring]) {
        guard words.count >= 8, let inode = Int64(words[0]), let size = Int64(words[2]), let owner = Int64(words[4]),
            let group = Int64(words[5]), let links = Int64(words[6]), let mode = UInt32(words[3], radix: 8),
            let modified = Self.time(words[7])
        else { return nil }
        (self.inode, self.size, self.owner, self.group, self.links) = (inode, size, owner, group, links)
        device = String(words[1])
        let octal = String(mode & 0o7777, radix: 8)
        self.mode = String(repeating: "0", count: max(0, 4 - octal.count)) + octal
        self.modified = modified
        created = words.count > 8 ? Self.time(words[8]) : nil
    }

    private static func time(_ text: Substring) -> String? {
        let parts = text.split(separator: ".").compactMap { Int64($0) }
        return parts.count == 2 ? RFC3339.format(parts[0] * 1_000_000_000 + parts[1]) : nil
    }
}

/// What one action of ebee-act came to.
struct Deed {
    let pid, tid: Int64
    let errno: Int32
    /// Nil where nothing was there.
    let facts: Facts?
}

/// A route while it is made, and afterwards.
final class Performance {
    let route: Route
    private(set) var text = Text()
    /// The route's own directory.
    private(set) var place: [UInt8] = []
    /// What was executed first.
    private(set) var launch: [[UInt8]] = []
    private(set) var deeds: [Deed] = []
    /// The process that was started, and the one that it started or became in another pid namespace.
    private(set) var pid: Int64 = 0
    private(set) var inner: Int64?
    /// How that one ended, where it isn't as the other did.
    private var innerEnding: Child.Ending?
    private(set) var child: Child?
    /// Why the machine can't do it, or why it went wrong; then there is nothing to compare.
    private(set) var refusal: String?
    private(set) var error: String?

    init(_ route: Route) { self.route = route }

    /// Makes what is there before, and starts it.
    func start(on machine: Machine, act: [UInt8]) throws {
        do {
            place = try machine.root(route.filesystem) / route.name
            try System.directory(place)
            text.places = ["{}": place, "{act}": act]
            for step in route.made { try step.make(in: place, &text, machine, act: act) }
            launch = [text.bytes(route.program)] + [Array("stat".utf8)] + text.words(route.command)
            let child = try Child(launch)
            self.child = child
            pid = Int64(child.pid)
            if route.isOlder { try child.listen { $0.output.contains(UInt8(ascii: "\n")) } }
        } catch let failure as Failure {
            if route.mayBeRefused { refusal = failure.description } else { error = failure.description }
        }
        try Interruption.check()
    }

    /// Lets it act, and takes what it says.
    func finish() throws {
        guard let child, refusal == nil, error == nil else { return }
        if route.isOlder { child.say("\n") }
        let ending = try child.finish()
        var facts: Facts?
        for line in String(decoding: child.output, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            let numbers = words.compactMap { Int64($0) }
            switch words.first {
            case "stat": facts = Facts(Array(words.dropFirst()))
            case "at": inner = numbers.first
            case "child":
                inner = numbers.first
                innerEnding = numbers.last.map { Child.Ending(Int32($0)) }
            case "ready": break
            default:
                guard numbers.count == 3 else { continue }
                deeds.append(Deed(pid: numbers[0], tid: numbers[1], errno: Int32(numbers[2]), facts: facts))
                facts = nil
            }
        }
        let errno = deeds.last?.errno ?? 0
        if errno != route.errno {
            let found = "\(route.command): \(errnoName(errno))"
            if route.refusals.contains(errno) {
                refusal = found
            } else {
                self.error = "\(found), not \(errnoName(route.errno))"
            }
        } else if ending.signal == Int64(SIGSEGV), !route.refusals.isEmpty {
            refusal = "\(route.command): the kernel doesn't take such system calls (SIGSEGV)"
        } else if route.group == .deletions, ending.code != 0 || deeds.isEmpty {
            error = "\(route.command): \(ending) \(shown(child.errors))"
        }
    }

    /// How a process of the route ended.
    func ending(of pid: Int64) -> Child.Ending? { pid == inner ? innerEnding ?? child?.ending : child?.ending }

    /// Every process of the route.
    var pids: Set<Int64> { Set([pid] + deeds.map(\.pid) + [inner].compactMap { $0 }) }
}

extension Route {
    /// Whether something that is made before needs what not every kernel has, or lets everybody do.
    fileprivate var mayBeRefused: Bool {
        filesystem == .ext4
            || made.contains { step in
                switch step {
                case .device, .overlay, .cgroup: true
                default: false
                }
            }
    }
}

extension Step {
    fileprivate func make(in place: [UInt8], _ text: inout Text, _ machine: Machine, act: [UInt8]) throws {
        // A name is seen from the route's directory, but for one that begins with a place.
        func path(_ name: String) -> [UInt8] { text.bytes(name.hasPrefix("{") ? name : "{}/" + name) }
        switch self {
        case .file(let name, let mode, let owner):
            try System.file(path(name), Array("four".utf8), mode: mode, owner: owner)
        case .text(let name, let content): try System.file(path(name), text.bytes(content), mode: 0o755)
        case .program(let name, let mode, let owner, let machine):
            try System.file(path(name), TinyProgram.bytes(machine), mode: mode, owner: owner)
        case .actor(let name): try System.file(path(name), System.content(act), mode: 0o755)
        case .directory(let name, let mode): try System.directory(path(name), mode: mode)
        case .link(let name, let other):
            try System.check("link", path(name), unsafe Glibc.link(cString(path(other)), cString(path(name))))
        case .symlink(let name, let target):
            try System.check("link", path(name), unsafe Glibc.symlink(target, cString(path(name))))
        case .fifo(let name): try System.check("make fifo", path(name), unsafe mkfifo(cString(path(name)), 0o600))
        case .socket(let name): try System.socket(name, in: place)
        case .device(let name):
            // /dev/null's numbers.
            try System.check("make device", path(name), unsafe mknod(cString(path(name)), S_IFCHR | 0o600, 1 << 8 | 3))
        case .chain(let depth, let bytes):
            var directory = place
            for level in 0..<depth {
                directory = directory / "\(level)"
                try System.directory(directory)
            }
            // `/x` comes after it.
            while directory.count + 2 < bytes {
                let left = bytes - 2 - directory.count - 1
                // What is left is never a name of no bytes.
                let length = left <= 250 ? left : min(250, left - 2)
                directory = directory / String(repeating: "n", count: length)
                try System.directory(directory)
            }
            text.places["{chain}"] = directory
        case .tmpfs(let name): try System.mount(type: "tmpfs", at: path(name), options: "mode=755")
        case .readOnly(let name): try System.mount([], at: path(name), [.remount, .readOnly])
        case .bind(let name, let target): try System.mount(path(name), at: path(target), [.bind])
        case .overlay:
            let layers = String(
                decoding: text.bytes("lowerdir={}/lower,upperdir={}/upper,workdir={}/work"), as: UTF8.self)
            try System.mount(type: "overlay", at: path("merged"), options: layers)
        case .cgroup(let path, let version): text.places["{cgroup}"] = try machine.cgroup(path, version)
        }
    }
}
