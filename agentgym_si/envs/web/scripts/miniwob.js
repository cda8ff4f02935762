// MiniWoB++'s own hooks: begin an episode, and read the page with the scorer's verdict.
(() => {
  const CHROME = new Set(["query", "reward-display", "sync-task-cover", "click-canvas", "attention-canvas"]);
  const gym = globalThis.__agentgym;
  const read = async (view) => {
    await gym.pictures();
    const said = core.getUtterance();
    const raw = WOB_RAW_REWARD_GLOBAL;
    return {
      goal: typeof said === "string" ? said : said.utterance,
      rows: gym.snapshot(CHROME, view),
      done: Boolean(WOB_DONE_GLOBAL),
      raw: typeof raw === "number" && Number.isFinite(raw) ? raw : null,
      reason: WOB_REWARD_REASON == null ? null : String(WOB_REWARD_REASON),
    };
  };
  const begin = async (seed, milliseconds, view) => {
    core.EPISODE_MAX_TIME = 2 ** 31 - 1;  // the limit is counted in steps
    Math.seedrandom(seed);
    core.startEpisodeReal();
    for (let waited = 0; !WOB_TASK_READY && waited < 10000; waited += 100) await gym.advance(100);
    await gym.advance(milliseconds);
    return { ready: Boolean(WOB_TASK_READY), ...(await read(view)) };
  };
  const step = async (milliseconds, view) => {
    await gym.settle();
    await gym.advance(milliseconds);
    if (gym.leaves()) return { leaving: true };
    if (!WOB_DONE_GLOBAL) await gym.settle();
    return read(view);
  };
  Object.defineProperty(globalThis, "__miniwob", { value: Object.freeze({ begin, read, step }) });
})();
