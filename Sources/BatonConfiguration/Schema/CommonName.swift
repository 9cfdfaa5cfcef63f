/// The common name in a distinguished name written as RFC 2253 has it.
package struct CommonName {
    package let text: String

    /// Nil if there is none, or if it cannot be told for certain: a name that was cut, or in an encoding that is not text.
    /// Of several the most specific, which is written first.
    ///
    /// - Parameter isCut: whether the subject goes on beyond the text.
    package init?(subject: String, isCut: Bool) {
        var rest = Array(subject.utf8)[...]
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let name = String(decoding: rest[..<equals], as: UTF8.self)
            let (value, isWhole) = Self.value(&rest, from: equals + 1)
            guard name.uppercased() == "CN" else { continue }
            // What stands last may be the part that was cut.
            guard let value, isWhole || !isCut, let text = String(validating: value, as: UTF8.self), !text.isEmpty,
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else { return nil }
            self.text = text
            return
        }
        return nil
    }

    /// The value up to the next `,` or `+`, without its escapes; nil for one written as `#` and hexadecimal digits.
    private static func value(_ rest: inout ArraySlice<UInt8>, from start: Int) -> (bytes: [UInt8]?, isWhole: Bool) {
        var bytes: [UInt8] = []
        var i = start
        let isHex = i < rest.endIndex && rest[i] == UInt8(ascii: "#")
        while i < rest.endIndex, rest[i] != UInt8(ascii: ","), rest[i] != UInt8(ascii: "+") {
            if rest[i] == UInt8(ascii: "\\"), i + 1 < rest.endIndex {
                if i + 2 < rest.endIndex, let high = rest[i + 1].hexValue, let low = rest[i + 2].hexValue {
                    bytes.append(high << 4 | low)
                    i += 3
                } else {
                    bytes.append(rest[i + 1])
                    i += 2
                }
            } else {
                bytes.append(rest[i])
                i += 1
            }
        }
        let isWhole = i < rest.endIndex
        rest = rest[min(i + 1, rest.endIndex)...]
        return (isHex ? nil : bytes, isWhole)
    }
}

extension UInt8 {
    var hexValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
