internal import BatonConfiguration
internal import Handoff

extension ParcelSender.Delivery {
    /// The parcels that were not handed over, by a label of the reason.
    var failuresByLabel: [String: Int] {
        var labels: [String: Int] = [:]
        for (failure, count) in failures { labels.count(failure.label, count) }
        return labels
    }
}

extension ParcelSender.Delivery.Failure {
    fileprivate var label: String {
        switch self {
        case .declined(let reason): "\(reason)".snakeCased
        case .takenBack(let ending): "\(ending)".snakeCased
        case .unreachable(let code): code.rawValue.snakeCased
        case .inDoubt: "in_doubt"
        }
    }
}

extension String {
    /// `plainHTTP` and `no room` as labels of metrics are written: `plain_http`, `no_room`.
    var snakeCased: String {
        var text = ""
        var isCapital = true
        for byte in utf8 {
            let wasCapital = isCapital
            isCapital = UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
            switch byte {
            // Of an abbreviation only the first letter begins a word.
            case _ where isCapital: text += (wasCapital ? "" : "_") + String(UnicodeScalar(byte | 0x20))
            case _ where byte.isLetterOrDigit: text += String(UnicodeScalar(byte))
            default: text += "_"
            }
        }
        return text
    }
}
