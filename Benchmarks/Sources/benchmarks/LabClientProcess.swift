import Foundation
import Glibc
import Synchronization

/// This program, started again in the client's namespace. Says a line when its connections are ready, and one for each line
/// it is asked with.
enum LabClientProcess {
    static let argument = "--lab-client"

    /// Times of the round trips since the last question, nanoseconds.
    private static let trips = Mutex([UInt32]())
    /// As many as a few seconds can bring: taking a time never waits for memory.
    private static let room = 1 << 19

    static func run(_ arguments: ArraySlice<String>) -> Int32 {
        let words = Array(arguments)
        guard words.count == 3, let kind = LabClient.Kind(rawValue: words[0]), let count = Int(words[1]) else {
            return 2
        }
        do {
            let others = try words[2] == "ping" ? startPinging(kind, others: count) : connect(kind, count)
            say("CONNECTED")
            while let line = readLine() {
                if line == "check" {
                    for other in others { try other.exchange() }
                    say("WORK")
                } else {
                    let answer = try JSONEncoder().encode(RoundTrips(nanoseconds: taken()))
                    // Those that sorting has disturbed do not count.
                    trips.withLock { $0.removeAll(keepingCapacity: true) }
                    say(String(decoding: answer, as: UTF8.self))
                }
            }
            return 0
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            return 1
        }
    }

    private static func connect(_ kind: LabClient.Kind, _ count: Int) throws -> [any EchoClient] {
        try (0..<count).map { _ in
            switch kind {
            case .tls: try TLSEchoClient(ClientSocket(DrainLab.serviceAddress, port: 4443))
            case .plain: PlainEchoClient(try ClientSocket(DrainLab.serviceAddress, port: 4444))
            }
        }
    }

    /// One exchanges messages as fast as it can, and the others a few times in a second: each kind on a thread of its own,
    /// which ends the process if something fails.
    private static func startPinging(_ kind: LabClient.Kind, others count: Int) -> [any EchoClient] {
        trips.withLock { $0.reserveCapacity(room) }
        let ready = DispatchSemaphore(value: 0)
        start {
            let others = try connect(kind, count)
            ready.signal()
            while !others.isEmpty {
                for other in others {
                    try other.exchange()
                    usleep(2_000)
                }
            }
        }
        ready.wait()
        start {
            let client = try connect(kind, 1)[0]
            ready.signal()
            while true {
                let stopwatch = Stopwatch()
                try client.exchange()
                let elapsed = UInt32(clamping: Int(stopwatch.elapsed))
                trips.withLock { $0.append(elapsed) }
            }
        }
        ready.wait()
        return []
    }

    /// The times so far, with that of the round trip under way: it may be the one that is looked for.
    private static func taken() -> [UInt32] {
        var next: [UInt32] = []
        next.reserveCapacity(room)
        let count = trips.withLock(\.count)
        while trips.withLock({ $0.count == count }) { usleep(200) }
        return trips.withLock { trips in
            swap(&trips, &next)
            return next
        }
    }

    private static func start(_ body: @escaping @Sendable () throws -> Void) {
        let thread = Thread {
            do { try body() } catch {
                FileHandle.standardError.write(Data("\(error)\n".utf8))
                exit(1)
            }
        }
        thread.start()
    }

    private static func say(_ line: String) {
        print(line)
        fflush(nil)
    }
}
