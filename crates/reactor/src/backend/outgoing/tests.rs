use super::*;

fn all(outgoing: &Outgoing) -> Vec<u8> {
    let mut parts = [IoSlice::new(&[]); 16];
    let filled = outgoing.fill(&mut parts);
    parts[..filled].iter().flat_map(|part| part.to_vec()).collect()
}

#[test]
fn bytes_leave_in_the_order_they_came() {
    let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
    outgoing.push_copy(b"ab");
    outgoing.push_copy(b"cd");
    outgoing.push_owned(Bytes::from_static(b"efg"));
    outgoing.push_copy(b"hi");
    assert_eq!((outgoing.len(), outgoing.segments()), (9, 3));
    outgoing.advance(3, &mut spent);
    assert_eq!(all(&outgoing), b"defghi");
    assert_eq!(outgoing.front(), b"d");
    outgoing.advance(3, &mut spent);
    assert_eq!(all(&outgoing), b"ghi");
    assert!(spent.is_empty());
    outgoing.advance(99, &mut spent);
    assert_eq!((outgoing.len(), outgoing.segments(), spent.len()), (0, 0, 1));
    outgoing.push_copy(b"again");
    assert_eq!(all(&outgoing), b"again");
}

#[test]
fn a_used_queue_allocates_nothing_for_the_next_message() {
    let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
    outgoing.push_copy(&[1; 64]);
    let before = outgoing.front().as_ptr();
    outgoing.clear(&mut spent);
    outgoing.push_copy(&[2; 64]);
    assert_eq!(outgoing.front().as_ptr(), before);
}

#[test]
fn small_writes_fill_a_segment_whose_buffer_is_kept() {
    let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
    (0..SEGMENT / 1000).for_each(|_| outgoing.push_copy(&[1; 1000]));
    assert_eq!(outgoing.segments(), 1);
    outgoing.clear(&mut spent);
    assert_eq!(outgoing.spare_memory(), SEGMENT);
    outgoing.push_copy(&[1; SEGMENT + 1]);
    outgoing.clear(&mut spent);
    assert_eq!(outgoing.spare_memory(), 0);
}

#[test]
fn the_queue_that_is_written_into_next_gets_the_emptied_buffers() {
    let (mut first, mut second, mut spent) = (Outgoing::default(), Outgoing::default(), Vec::new());
    first.push_copy(b"first");
    let buffer = first.front().as_ptr();
    second.push_copy(b"second");
    first.advance(5, &mut spent);
    first.append(&mut second);
    assert_eq!((first.front(), second.is_empty()), (&b"second"[..], true));
    second.push_copy(b"third");
    assert_eq!(second.front().as_ptr(), buffer);
}

fn file(offset: u64, len: usize) -> FileRange {
    let file = std::fs::File::open("Cargo.toml").expect("the manifest");
    FileRange::new(std::sync::Arc::new(file), offset, len, true)
}

#[test]
fn a_file_is_lent_alone_and_bytes_up_to_the_next_one() {
    let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
    outgoing.push_copy(b"abc");
    outgoing.push_file(file(1, 10));
    outgoing.push_file(file(0, 0));
    outgoing.push_file(file(3, 5));
    outgoing.push_copy(b"de");
    assert_eq!((outgoing.len(), outgoing.segments(), outgoing.in_memory()), (20, 4, 5 + 2 * SEGMENT));
    outgoing.advance(1, &mut spent);
    let mut lengths = Vec::new();
    while !outgoing.is_empty() {
        let mut rest = Outgoing::default();
        outgoing.split_into(&mut rest);
        assert!(outgoing.file().is_none_or(|range| range.len() == outgoing.len()));
        assert_eq!(outgoing.front().is_empty(), outgoing.file().is_some());
        lengths.push((outgoing.len(), outgoing.has_files(), rest.len()));
        // A part is sent, and the queue is whole again.
        outgoing.advance(if outgoing.has_files() { 3 } else { outgoing.len() }, &mut spent);
        outgoing.append(&mut rest);
    }
    let bytes = [(2, false, 17), (2, false, 0)];
    let files = [(10, true, 7), (7, true, 7), (4, true, 7), (1, true, 7), (5, true, 2), (2, true, 2)];
    assert_eq!(lengths, [&bytes[..1], &files, &bytes[1..]].concat());
    assert_eq!((outgoing.segments(), outgoing.in_memory()), (0, 0));
}

#[test]
fn what_is_read_of_a_file_takes_its_place() {
    let manifest = std::fs::read("Cargo.toml").expect("the manifest");
    let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
    outgoing.push_file(file(2, 6));
    outgoing.push_copy(b"after");
    assert_eq!(outgoing.read_file().ok(), Some(6));
    assert_eq!((all(&outgoing), outgoing.has_files()), ([&manifest[2..8], b"after"].concat(), false));
    outgoing.clear(&mut spent);
    outgoing.push_file(file(manifest.len() as u64, 6));
    assert_eq!((outgoing.read_file().ok(), outgoing.len()), (Some(0), 6));
    outgoing.drop_file();
    assert!(outgoing.is_empty() && outgoing.file().is_none() && !outgoing.has_files());
}

fn descriptor() -> OwnedFd {
    std::fs::File::open("/dev/null").expect("a descriptor").into()
}

#[test]
fn a_descriptor_travels_with_the_byte_behind_it() {
    let (mut outgoing, mut spent) = (Outgoing::default(), Vec::new());
    outgoing.push_copy(b"ab");
    assert!(outgoing.push_descriptor(descriptor()).is_ok());
    assert_eq!(outgoing.descriptors(), 0, "no byte follows it yet");
    outgoing.push_copy(b"cd");
    assert_eq!((outgoing.descriptors(), outgoing.first_descriptors().count()), (1, 0));
    assert_eq!(outgoing.bytes_before_next_descriptor(), 2);
    let mut parts = [IoSlice::new(&[]); 4];
    assert_eq!((outgoing.fill_up_to(2, &mut parts), &*parts[0]), (1, &b"ab"[..]));
    outgoing.advance(2, &mut spent);
    assert_eq!((outgoing.first_descriptors().count(), outgoing.bytes_before_next_descriptor()), (1, 2));
    outgoing.advance(1, &mut spent);
    assert_eq!((outgoing.first_descriptors().count(), outgoing.descriptors()), (0, 0));
    assert!(outgoing.descriptors.is_none());
}

#[test]
fn descriptors_keep_their_places_when_queues_are_joined_and_parted() {
    let (mut first, mut second, mut spent) = (Outgoing::default(), Outgoing::default(), Vec::new());
    first.push_copy(b"xxab");
    first.advance(2, &mut spent);
    first.push_descriptor(descriptor()).expect("room");
    let mut waiting = first.split_waiting().expect("one waits");
    assert!(!first.is_void() && first.split_waiting().is_none());
    second.push_copy(b"cd");
    second.push_descriptor(descriptor()).expect("room");
    second.push_copy(b"e");
    waiting.append(&mut second);
    first.append(&mut waiting);
    let places: Vec<usize> = first.take_descriptors(5).into_iter().map(|(place, _)| place).collect();
    assert_eq!((places, all(&first)), (vec![2, 4], b"abcde".to_vec()));
}

#[test]
fn no_more_descriptors_travel_with_one_byte_than_the_system_takes() {
    let mut outgoing = Outgoing::default();
    for _ in 0..crate::backend::descriptors::MOST {
        outgoing.push_descriptor(descriptor()).expect("room");
    }
    assert!(outgoing.push_descriptor(descriptor()).is_err());
    outgoing.push_copy(b"a");
    assert!(outgoing.push_descriptor(descriptor()).is_ok());
    assert_eq!(outgoing.descriptors(), crate::backend::descriptors::MOST);
    outgoing.clear(&mut Vec::new());
    assert!(outgoing.is_void());
}
