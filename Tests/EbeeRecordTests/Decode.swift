import CEvents

@testable import EbeeRecord

/// A record as the daemon reads it: the header checked, then the rest.
func decodeProcess(_ bytes: [UInt8]) throws(MalformedRecord) -> ProcessRecord {
    _ = try unsafe RecordHeader(checking: bytes.span.bytes)
    return try unsafe ProcessRecord(bytes.span.bytes)
}

/// The same of a deletion.
func decodeDeletion(_ bytes: [UInt8]) throws(MalformedRecord) -> DeleteRecord {
    _ = try unsafe RecordHeader(checking: bytes.span.bytes)
    return try unsafe DeleteRecord(bytes.span.bytes)
}

func header(_ bytes: [UInt8]) throws(MalformedRecord) -> RecordHeader {
    try unsafe RecordHeader(checking: bytes.span.bytes)
}

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
