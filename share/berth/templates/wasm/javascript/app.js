// A component that is run as a command: what it prints is its answer.
export const run = {
  run() {
    console.log(JSON.stringify({ greeting: "Hello, World!" }));
  },
};
