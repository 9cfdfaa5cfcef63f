import Libc

/// Turns the outcome of a C shim, which reports failure as a negative error number, into a value or an error.
@discardableResult
func checked(
    _ result: Int32, _ call: @autoclosure () -> String, _ code: MigrationError.Code = .systemCall
) throws(MigrationError) -> Int32 {
    guard result < 0 else { return result }
    throw .call(call(), -result, code)
}

/// Turns the outcome of a libc call, which reports failure as -1 and `errno`, into a value or an error.
@discardableResult
func checkedErrno(
    _ result: Int32, _ call: @autoclosure () -> String, _ code: MigrationError.Code = .systemCall
) throws(MigrationError) -> Int32 {
    guard result < 0 else { return result }
    throw .call(call(), errno, code)
}

extension MigrationError {
    static func call(_ name: String, _ number: Int32, _ code: Code = .systemCall) -> MigrationError {
        let code = number == EPERM || number == EACCES ? Code.notPermitted : code
        return MigrationError(code, "\(name): \(String(cString: strerror(number)))", errno: number)
    }
}
