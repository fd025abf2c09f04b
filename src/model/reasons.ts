/**
 * Why an instance is where it is: the closed list of reason codes, with the sentence that is rendered when an entry is
 * read. docs/reasons.md is made of this table; a test keeps them equal.
 */
export const REASONS = {
  no_rule: { en: "no convergence rule governs it", zh: "没有适用的收敛规则" },
  below_count: { en: "fewer matching instances than the rule's count", zh: "匹配的实例未达到规则数量" },
  group_opened: { en: "it opened the group", zh: "由它开启收敛组" },
  no_peer_in_the_way: { en: "no peer stands in the way", zh: "没有同组实例阻碍" },
  below_limit: { en: "fewer peers executed than the limit", zh: "同组执行数未达到上限" },
  related: { en: "the group only relates its instances", zh: "仅作关联" },
  run_anyway: { en: "somebody said to run it anyway", zh: "人工要求执行" },
  approved: { en: "the approval was granted", zh: "审批通过" },
  peer_succeeded: { en: "a peer has done the work of this dimension", zh: "相同维度的实例已执行成功" },
  peer_in_progress: { en: "a peer is in progress", zh: "相同维度的实例正在处理" },
  peer_settled_in_window: { en: "a peer ended without failure inside the window", zh: "窗口内相同维度的实例刚刚完成" },
  limit_reached: { en: "as many peers as allowed have executed", zh: "同组执行数已达到上限" },
  collected: { en: "it goes into the summary", zh: "已汇总" },
  parent_open: { en: "a parent group is open", zh: "上级收敛组未关闭" },
  already_triggered: { en: "the group has triggered already", zh: "收敛组已触发过" },
  peer_failed: { en: "a peer failed: a human decides", zh: "相同维度的实例执行失败，等待审批" },
  retries_exhausted: { en: "its own retries are used up: a human decides", zh: "重试次数用尽，等待审批" },
  defense_threshold: { en: "the group reached its threshold: a human decides", zh: "达到异常防御阈值，等待审批" },
  silenced: { en: "a silence matches", zh: "已屏蔽" },
  alert_resolved: { en: "the alert resolved before anything ran", zh: "告警已恢复" },
  lease_over: { en: "nothing was heard of the alert for as long as its lease lasted", zh: "告警租约已过期，未再收到" },
  resolve_lost: {
    en: "a later episode of the alert shows that this one's end was missed",
    zh: "告警已重新触发，恢复通知丢失",
  },
  wait_timeout: { en: "it waited for its peers as long as allowed", zh: "等待超时" },
  peer_denied: { en: "the approval that it waited for was denied", zh: "所等待的审批被拒绝" },
  approval_denied: { en: "the approval was denied", zh: "审批被拒绝" },
  approval_timeout: { en: "nobody answered the approval in time", zh: "审批超时" },
  approval_requested: { en: "a human was asked", zh: "已发起审批" },
  nothing_to_summarise: {
    en: "nothing was skipped, so there is nothing to summarise",
    zh: "没有被收敛的告警，无需汇总",
  },
  cancelled: { en: "somebody cancelled it", zh: "人工取消" },
  closed: { en: "somebody closed it", zh: "人工关闭" },
  paused: { en: "an emergency stop holds: a human decides", zh: "已紧急暂停，等待人工决定" },
  approval_counted: { en: "the approval needs more people", zh: "已记录一次审批，仍需他人审批" },
  verifying: {
    en: "its action succeeded; whether it helped shows when the alert resolves",
    zh: "执行成功，等待告警恢复确认",
  },
  verified: { en: "its action succeeded and the alert resolved", zh: "执行成功且告警已恢复" },
  not_resolved: {
    en: "its action succeeded, but the alert did not resolve in time",
    zh: "执行成功，但告警未在期限内恢复",
  },
  episode_over: { en: "its alert no longer fires, so it is not decided again", zh: "告警已不再触发，不再重新决策" },
  observed: { en: "the policy only observes: nothing was done", zh: "观察模式：未实际执行" },
  succeeded: { en: "its action succeeded", zh: "执行成功" },
  failed: { en: "its action failed", zh: "执行失败" },
  retry_scheduled: { en: "its action failed and will be tried again", zh: "执行失败，等待重试" },
  retried: { en: "its action is tried again", zh: "重试执行" },
  interrupted: { en: "the process that ran its attempt stopped", zh: "执行进程已停止" },
  begun_again: { en: "its attempt is begun again", zh: "重新开始本次执行" },
  lock_busy: { en: "others decide for this dimension right now", zh: "收敛锁繁忙，稍后重试" },
} as const satisfies Record<string, { en: string; zh: string }>;

export type ReasonCode = keyof typeof REASONS;
