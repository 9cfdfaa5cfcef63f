internal import BatonCore
internal import Handoff
internal import Libc

/// When a connection was taken out of its channel, as its next owner is told: CLOCK_MONOTONIC in nanoseconds, which counts for
/// processes of one machine, the machine's boot, by which the next owner knows whether it is on the same one, and how often the
/// connection had moved by then: an owner between that does not know the annotation hands it on, but counts its move.
enum SuspensionTime {
    private static let annotation = ConnectionHandler.Annotation.suspendedAt

    /// A number that the kernel draws at its start (random(4)), 16 bytes; empty if it cannot be read.
    private static let boot: [UInt8] = {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 36)
        guard read(descriptor, &text, text.count) == text.count else { return [] }
        let digits = text.compactMap { Character(UnicodeScalar($0)).hexDigitValue.map { UInt8($0) } }
        guard digits.count == 32 else { return [] }
        return stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }()

    /// Notes that the connection stands still from now on.
    static func mark(_ metadata: inout ParcelMetadata) {
        metadata.annotations[annotation] = nil
        // What its owners tell each other goes before what is only counted.
        guard !boot.isEmpty, metadata.annotations.count < ParcelMetadata.maxAnnotations else { return }
        let moves = withUnsafeBytes(of: UInt64(metadata.moves).bigEndian) { Array($0) }
        metadata.annotations[annotation] = withUnsafeBytes(of: MonotonicTime.now.bigEndian) { Array($0) } + boot + moves
    }

    /// Takes the moment out; `nil` if it was not noted, on another machine, or by an owner before the last.
    static func take(_ metadata: inout ParcelMetadata) -> UInt64? {
        guard let value = metadata.annotations.removeValue(forKey: annotation), value.count == 32, !boot.isEmpty,
            value[8..<24].elementsEqual(boot)
        else { return nil }
        // Whoever receives it counts the move before it comes here, unless it stays in its process.
        let moves = UInt64(metadata.moves)
        guard number(value[24...]) == moves || number(value[24...]) &+ 1 == moves else { return nil }
        return number(value.prefix(8))
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

extension ParcelMetadata {
    /// Notes that the connection stands still from now on, for an owner that takes it into a channel.
    package mutating func noteSuspension() { SuspensionTime.mark(&self) }
}
