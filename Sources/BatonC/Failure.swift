internal import BatonCore
internal import CBaton
internal import Handoff
internal import Libc
internal import Synchronization
internal import TLSHandshake
internal import TLSRecords

/// Why a call has failed, as C is told.
struct Failure: Error {
    let code: baton_code
    let message: String
    var systemError: CInt = 0

    init(_ code: baton_code, _ message: String, systemError: CInt = 0) {
        self.code = code
        self.message = message
        self.systemError = systemError
    }

    static func argument(_ message: String) -> Failure { Failure(BATON_ERROR_ARGUMENT, message) }

    static func system(_ what: String) -> Failure {
        let code = errno
        return Failure(BATON_ERROR_SYSTEM, "\(what): \(String(cString: strerror(code)))", systemError: code)
    }

    init(_ error: TLSError) {
        let code =
            switch error.code {
            case .truncated: BATON_ERROR_TRUNCATED
            case .writeClosed: BATON_ERROR_WRITE_CLOSED
            case .keyExhausted: BATON_ERROR_KEY_EXHAUSTED
            default: BATON_ERROR_PROTOCOL
            }
        self.init(code, "\(error)")
    }

    init(_ error: HandoffError) {
        let code =
            switch error.code {
            case .timedOut: BATON_ERROR_TIMED_OUT
            case .system: BATON_ERROR_SYSTEM
            case .pathTooLong, .unsafeDirectory: BATON_ERROR_ARGUMENT
            default: BATON_ERROR_HANDOFF
            }
        self.init(code, "\(error)", systemError: error.systemError ?? 0)
    }

    init(_ error: ParcelError) { self.init(BATON_ERROR_FORMAT, "\(error)") }

    init(_ error: SealError) { self.init(BATON_ERROR_SEAL, "\(error)") }

    fileprivate func write(to error: UnsafeMutablePointer<baton_error>?) {
        guard let error else { return }
        error.pointee = baton_error()
        error.pointee.code = code.rawValue
        error.pointee.system_error = systemError
        withUnsafeMutableBytes(of: &error.pointee.message) { $0.setText(message) }
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Copies `text`, cut to fit, and the NUL behind it.
    func setText(_ text: String) {
        guard !isEmpty else { return }
        let bytes = Array(text.utf8.prefix(count - 1))
        copyBytes(from: bytes)
        self[bytes.count] = 0
    }
}

/// Does what a C function is for, and tells what went wrong.
func answer(
    _ told: UnsafeMutablePointer<baton_error>?, _ body: () throws(Failure) -> baton_code
) -> CInt {
    do throws(Failure) {
        let code = try body()
        told?.pointee = baton_error()
        return code.rawValue
    } catch {
        error.write(to: told)
        return error.code.rawValue
    }
}

/// Makes what a C function is for; `nil`, and tells what went wrong.
func make<Object: AnyObject>(
    _ told: UnsafeMutablePointer<baton_error>?, _ body: () throws(Failure) -> Object
) -> OpaquePointer? {
    do throws(Failure) {
        let object = try body()
        told?.pointee = baton_error()
        return OpaquePointer(Unmanaged.passRetained(object).toOpaque())
    } catch {
        error.write(to: told)
        return nil
    }
}

/// The object of a pointer that was made by `make`.
func object<Object: AnyObject>(_ pointer: OpaquePointer?, _ type: Object.Type = Object.self) throws(Failure) -> Object {
    guard let pointer else { throw .argument("the object is NULL") }
    return Unmanaged<Object>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
}

/// Lets go of an object that was made by `make`.
func letGo<Object: AnyObject>(_ pointer: OpaquePointer?, of type: Object.Type) {
    guard let pointer else { return }
    Unmanaged<Object>.fromOpaque(UnsafeRawPointer(pointer)).release()
}

extension Mutex where Value: ~Copyable & Sendable {
    /// Does something with the value, unless another thread does.
    ///
    /// - Parameter object: what the value is, for the error.
    borrowing func useAlone<Result>(
        _ object: String, _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var outcome: Swift.Result<Result, Failure>?
        withLockIfAvailable { value in
            do throws(Failure) {
                outcome = .success(try body(&value))
            } catch {
                outcome = .failure(error)
            }
        }
        guard let outcome else { throw .inUse(object) }
        return try outcome.get()
    }
}

extension Failure {
    static func inUse(_ object: String) -> Failure {
        Failure(BATON_ERROR_IN_USE, "another thread is in a call with this \(object); let it end first")
    }
}

/// Bytes that a caller lends.
func bytes(_ pointer: UnsafeRawPointer?, _ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
    guard count >= 0 else { throw .argument("a count is beyond what memory can have") }
    guard pointer != nil || count == 0 else { throw .argument("the bytes are NULL") }
    return UnsafeRawBufferPointer(start: pointer, count: count)
}

/// Room that a caller lends.
func room(_ pointer: UnsafeMutableRawPointer?, _ count: Int) throws(Failure) -> UnsafeMutableRawBufferPointer {
    guard count >= 0 else { throw .argument("a count is beyond what memory can have") }
    guard pointer != nil || count == 0 else { throw .argument("the buffer is NULL") }
    return UnsafeMutableRawBufferPointer(start: pointer, count: count)
}

/// A time limit that a caller gives in milliseconds.
func deadline(_ milliseconds: UInt64) -> Deadline {
    .after(.milliseconds(Int64(min(milliseconds, 1_000_000_000_000))))
}
