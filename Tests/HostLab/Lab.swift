import BatonCore
internal import CNamespaces
import Foundation
import Glibc
package import HostMigration
import Synchronization

/// The namespaces of `scripts/lab.sh`, made once for this process and removed when it exits.
package final class Lab: Sendable {
    /// A namespace of the lab.
    package enum Role: String, Sendable {
        case client, a, b, backend
    }

    /// Why the lab cannot stand here; nil if it can. Namespaces, TCP repair and packet sockets take root.
    package static let obstacle: String? = {
        guard geteuid() == 0 else { return "needs root" }
        guard access("/dev/net/tun", R_OK | W_OK) == 0 else { return "needs /dev/net/tun" }
        guard unshareWorks() else { return "needs CAP_SYS_ADMIN and CAP_NET_ADMIN" }
        return nil
    }()

    package static let shared = Lab("")

    package let prefix: String

    private static let standing = Mutex<[String]>([])

    /// A lab of its own, whose hosts have hold devices, rules and addresses of their own.
    package init(_ name: String) {
        prefix = "baton-\(getpid())\(name)-"
        let isFirst = Lab.standing.withLock { prefixes in
            prefixes.append(prefix)
            return prefixes.count == 1
        }
        Lab.script("up", prefix)
        guard isFirst else { return }
        atexit {
            for prefix in Lab.standing.withLock({ $0 }) { Lab.script("down", prefix) }
        }
    }

    /// The path of the namespace.
    package func path(_ role: Role) -> String { "/run/netns/\(prefix)\(role.rawValue)" }

    /// Runs `body` on a thread of its own whose network namespace is that of `role`. Sockets made there stay there.
    package func run<R: Sendable>(in role: Role, _ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await start(in: role, body).value
    }

    /// As `run`, without waiting for the end.
    package func start<R: Sendable>(
        in role: Role, _ body: @escaping @Sendable () throws -> R
    ) -> Task<R, any Error> {
        let path = path(role)
        return Task {
            try await withCheckedThrowingContinuation { continuation in
                let thread = Thread {
                    continuation.resume(
                        with: Result {
                            try Lab.enter(path)
                            return try body()
                        })
                }
                thread.stackSize = 1 << 21
                thread.start()
            }
        }
    }

    /// Moves the calling thread to the namespace.
    package static func enter(_ path: String) throws {
        guard lab_enter_namespace(path) == 0 else { throw LabError("setns \(path)") }
    }

    /// The packet filter's rules in the calling thread's namespace, as nft lists them.
    package static func rules() throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/sbin/nft")
        process.arguments = ["list", "ruleset"]
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: text, as: UTF8.self)
    }

    /// Flows that nobody has, of both families in turn.
    package static func exampleFlows(_ count: Int) -> [Flow] {
        (0..<count).map { index in
            let (local, remote) =
                index % 2 == 0 ? ("198.51.100.4", "198.51.100.2") : ("2001:db8:1::4", "2001:db8:1::2")
            return Flow(
                local: Endpoint(IPAddress(local)!, port: 443),
                remote: Endpoint(IPAddress(remote)!, port: UInt16(10_000 + index)))!
        }
    }

    private static func unshareWorks() -> Bool {
        nonisolated(unsafe) var result = false
        let done = DispatchSemaphore(value: 0)
        Thread {
            result = lab_new_namespace() == 0
            done.signal()
        }.start()
        done.wait()
        return result
    }

    private static func script(_ command: String, _ prefix: String) {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "scripts/lab.sh").path
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = [path, command]
        process.environment = ProcessInfo.processInfo.environment.merging(["BATON_LAB_PREFIX": prefix]) { $1 }
        try? process.run()
        process.waitUntilExit()
    }
}

/// A step of a test that failed outside of what is tested.
package struct LabError: Error, CustomStringConvertible {
    package let description: String

    package init(_ call: String) {
        description = "\(call): \(String(cString: strerror(errno)))"
    }
}
