/* The worker: Python and vrrpsim. pyodide.js and its module function stand above this text. Nothing is fetched: what Pyodide asks for
   was handed over in the first message. */
const held = {};
self.fetch = async (wanted) => {
  const name = String(wanted?.url ?? wanted).split("/").pop();
  if (!(name in held)) throw new Error(`there is no ${name} in this page`);
  const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(held[name], { headers: { "content-type": type } });
};
let serve;
async function boot({ files, lock }) {
  Object.assign(held, files);
  postMessage({ stage: "Python starts", part: 0.35 });
  const python = await loadPyodide({ indexURL: "https://vrrpsim.invalid/", createPyodideModule: _createPyodideModule, lockFileContents: lock, checkAPIVersion: false });
  postMessage({ stage: "vrrpsim is imported", part: 0.75 });
  python.unpackArchive(held["site.zip"], "zip", { extractDir: python.runPython("import sysconfig; sysconfig.get_paths()['purelib']") });
  delete held["site.zip"];
  serve = python.runPython("import os; os.makedirs('/work'); os.chdir('/work'); import engine; engine.serve");
  postMessage({ ready: true });
}
onmessage = async ({ data }) => {
  try {
    if (data.files) return await boot(data);
    postMessage({ id: data.id, answer: serve(data.call, JSON.stringify(data.words)) });
  } catch (error) {
    const bug = String(error.stack || error);
    postMessage(data.files ? { failed: bug } : { id: data.id, answer: JSON.stringify({ bug }) });
  }
};
