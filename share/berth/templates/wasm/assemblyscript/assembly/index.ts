// An export with numbers: the arguments come as a JSON array, the result goes as JSON. [20, 22] -> 42.
export function add(a: i32, b: i32): i32 {
  return a + b;
}
