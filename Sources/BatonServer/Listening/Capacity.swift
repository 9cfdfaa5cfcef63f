internal import BatonConfiguration
internal import Libc

/// What this machine does not give a configuration. It is served all the same, with less.
enum Capacity {
    /// What a worker has beside connections: links, parcels under way, files.
    private static let others = 128
    /// A relay's two sockets.
    private static let eachRelay = 2
    /// What the keeper has for each worker: its link and the memory of its relays.
    private static let eachWorker = 2
    /// What the keeper has beside that: links and files of fronts, and what it leaves for the next one.
    private static let othersOfKeeper = 32

    /// - Parameters:
    ///   - descriptors: that a process may have.
    ///   - processors: which is how many workers there are unless the configuration says.
    ///   - longestQueue: `net.core.somaxconn`; nil if it cannot be read.
    /// - Returns: a line for each thing.
    static func shortfalls(
        of configuration: Configuration, descriptors: UInt, processors: Int, longestQueue: Int?
    ) -> [String] {
        var lines: [String] = []
        let workers = max(1, configuration.workers ?? processors)
        // One for the client, one for the upstream.
        let each = configuration.upstreams.isEmpty ? 1 : 2
        let share = (configuration.limits.connections + workers - 1) / workers
        let needed = UInt(share * each + others)
        if needed > descriptors {
            lines.append(
                "limits.connections: \(configuration.limits.connections) need \(needed) descriptors in each of "
                    + "\(workers) workers, and RLIMIT_NOFILE allows \(descriptors); raise it (LimitNOFILE= of the "
                    + "unit) or lower the limit")
        }
        let kept = neededByKeeper(configuration, workers)
        if kept > descriptors {
            lines.append(
                "limits.connections: \(configuration.limits.connections) need \(kept) descriptors in the main process, "
                    + "which has a duplicate of each relay's two sockets, and RLIMIT_NOFILE allows \(descriptors); raise "
                    + "it (LimitNOFILE= of the unit) or lower the limit")
        }
        if let longestQueue, configuration.backlog > longestQueue {
            lines.append(
                "backlog: the kernel cuts \(configuration.backlog) to \(longestQueue); raise net.core.somaxconn or lower "
                    + "backlog")
        }
        return lines
    }

    /// How many the keeper needs so that every relay can outlive its worker: also while an upgrade starts as many workers again,
    /// and beside the reserve that no relay takes. 0: nothing relays.
    private static func neededByKeeper(_ configuration: Configuration, _ workers: Int) -> UInt {
        guard !configuration.upstreams.isEmpty else { return 0 }
        // Each listener's socket, and the copies that an upgrade makes.
        let sockets = 2 * configuration.listeners.count
        let held =
            configuration.limits.connections * eachRelay + 2 * workers * eachWorker + sockets + othersOfKeeper
        return DescriptorLimit.Reserve.limit(leaving: UInt(held))
    }

    /// `net.core.somaxconn`.
    static var longestQueue: Int? {
        guard let file = fopen("/proc/sys/net/core/somaxconn", "re") else { return nil }
        defer { fclose(file) }
        var bytes = [CChar](repeating: 0, count: 32)
        guard fgets(&bytes, CInt(bytes.count), file) != nil else { return nil }
        return Int(String(decoding: bytes.prefix { 48...57 ~= $0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
