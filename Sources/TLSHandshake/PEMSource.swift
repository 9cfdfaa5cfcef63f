public import BatonCore
internal import TLSRecords

/// Where PEM text comes from: a file, or memory. It may hold a private key, so it never prints its content.
public struct PEMSource: Sendable {
    enum Storage: Sendable {
        case file(String)
        case memory(PEMText)
    }

    let storage: Storage

    /// The file at `path`, at most 1 MiB, read when a context is made.
    public static func file(_ path: String) -> PEMSource { PEMSource(storage: .file(path)) }

    /// PEM text in memory. The copy made here is zeroed when the last use of it ends; `text` is the caller's.
    public static func text(_ text: String) -> PEMSource {
        // Not through an array, whose memory would be freed without being zeroed.
        var text = text
        return text.withUTF8 { bytes(SecretBytes(copying: UnsafeRawBufferPointer($0).bytes)) }
    }

    /// PEM text in memory, taken over.
    public static func bytes(_ bytes: consuming SecretBytes) -> PEMSource {
        PEMSource(storage: .memory(PEMText(bytes)))
    }

    /// How errors name it.
    var name: String {
        switch storage {
        case .file(let path): path
        case .memory: "the PEM text given"
        }
    }
}

extension PEMSource: CustomStringConvertible, CustomReflectable {
    /// The path, or that it is in memory.
    public var description: String { name }
    /// No content.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A box, because configurations are copied and the text must not be.
final class PEMText: Sendable {
    let bytes: SecretBytes
    init(_ bytes: consuming SecretBytes) { self.bytes = bytes }
}
