import CAllocations
import CRival

/// The same records through a pair of OpenSSL's `SSL` over memory BIOs.
final class RivalRecords {
    private let pair: OpaquePointer
    private let plaintext: [UInt8]
    private let count: Int
    private var wire: [UInt8]
    private var lengths: [Int] = []
    private var target: [UInt8]
    private var record: [UInt8]

    init(_ suite: String, _ credentials: Credentials, size: Int, count: Int) throws {
        guard let pair = rival_pair_new(credentials.certificate, credentials.key, suite) else {
            throw BenchmarkError("OpenSSL made no connection")
        }
        self.pair = pair
        plaintext = [UInt8](repeating: 7, count: size)
        wire = [UInt8](repeating: 0, count: count * (size + 64))
        target = [UInt8](repeating: 0, count: size)
        record = [UInt8](repeating: 0, count: size + 64)
        lengths.reserveCapacity(count)
        self.count = count
    }

    deinit { rival_pair_free(pair) }

    func seal() throws -> Double {
        let stopwatch = Stopwatch()
        try sealAll()
        return stopwatch.elapsed / Double(count)
    }

    func open() throws -> Double {
        try prepareToOpen()
        let stopwatch = Stopwatch()
        try openAll()
        return stopwatch.elapsed / Double(count)
    }

    func sealingAllocations() throws -> Double {
        allocations_arm()
        try sealAll()
        return Double(allocations_disarm()) / Double(count)
    }

    func openingAllocations() throws -> Double {
        try prepareToOpen()
        allocations_arm()
        try openAll()
        return Double(allocations_disarm()) / Double(count)
    }

    private func sealAll() throws {
        let size = plaintext.count
        let sealed = plaintext.withUnsafeBufferPointer { plaintext in
            record.withUnsafeMutableBufferPointer { record in
                for _ in 0..<count {
                    guard rival_seal(pair, plaintext.baseAddress, size, record.baseAddress, record.count) > 0 else {
                        return false
                    }
                }
                return true
            }
        }
        guard sealed else { throw BenchmarkError("SSL_write failed") }
    }

    private func prepareToOpen() throws {
        lengths.removeAll(keepingCapacity: true)
        var position = 0
        for _ in 0..<count {
            let length = wire.withUnsafeMutableBufferPointer { wire in
                rival_seal(pair, plaintext, plaintext.count, wire.baseAddress! + position, wire.count - position)
            }
            guard length > 0 else { throw BenchmarkError("SSL_write failed") }
            lengths.append(length)
            position += length
        }
    }

    private func openAll() throws {
        let size = plaintext.count
        let opened = wire.withUnsafeBufferPointer { wire in
            target.withUnsafeMutableBufferPointer { target in
                var position = 0
                for length in lengths {
                    let count = rival_open(
                        pair, wire.baseAddress! + position, length, target.baseAddress, target.count)
                    guard count == size else { return false }
                    position += length
                }
                return true
            }
        }
        guard opened else { throw BenchmarkError("SSL_read failed") }
    }
}
